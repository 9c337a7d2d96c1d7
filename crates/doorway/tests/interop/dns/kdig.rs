//! `kdig`, another reader of the same answers.

use super::dig::ZONE;
use crate::programs;
use crate::server::Setup;

#[test]
fn answers_are_read_alike_by_another_implementation() {
    let server = Setup::new().zone(ZONE).start();
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    for (question, status, lines) in [
        ("example.org SOA", "NOERROR", &["SOA ns.example.org. hostmaster.example.org. 2026112201"][..]),
        (
            "www.example.org A",
            "NOERROR",
            &["CNAME web.example.org.", "CNAME host.example.org.", "A 192.0.2.80"],
        ),
        ("x.wild.example.org A", "NOERROR", &["x.wild.example.org. 300 IN A 192.0.2.99"]),
        ("nothing.example.org A", "NXDOMAIN", &["example.org. 60 IN SOA"]),
        ("deep.child.example.org A", "NOERROR", &["NS ns.child.example.org.", "A 192.0.2.54"]),
        ("example.com A", "REFUSED", &[]),
        ("version.bind CH TXT", "REFUSED", &[]),
    ] {
        for how in ["", " +tcp", " +bufsize=512", " +keepopen +tcp"] {
            let mut words = vec![ip.as_str(), "-p", &port, "+norecurse", "+timeout=10", "+retry=3"];
            words.extend(question.split(' ').chain(how.split_whitespace()));
            let told = programs::run("kdig", &words).done();
            let even = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(even.contains(&format!("status: {status};")), "{told}");
            assert!(!told.contains("WARNING"), "{told}");
            for line in lines {
                assert!(even.contains(line), "`{line}` is not in\n{told}");
            }
        }
    }
    server.stop();
}
