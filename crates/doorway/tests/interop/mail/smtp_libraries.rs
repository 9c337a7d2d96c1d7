//! Python's smtplib and nodemailer, as programs use them.

use super::{Office, setup};
use crate::programs;

/// Greets by HELO and EHLO, sends several messages over one connection, uses SMTPUTF8 and 8BITMIME, logs in.
const SMTPLIB: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
smtp, submission, submissions, ca, password = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
def host(port): return ("localhost", int(port))
with smtplib.SMTP(*host(smtp), timeout=30) as server:
    print(server.helo("crepes.fr")[0])
    print(server.sendmail("alice@crepes.fr", ["bob@hamburger.edu"], "Do you like ketchup?\nHow about pickles?\n"))
    server.ehlo("crepes.fr")
    print(sorted(server.esmtp_features))
    print(server.verify("bob")[0], server.noop()[0], server.rset()[0], server.docmd("XYZZY")[0])
    print(server.sendmail("alice@crepes.fr", ["bob@hamburger.edu", "eve@elsewhere.test"], "Subject: two\n\nx"))
    try:
        server.sendmail("alice@crepes.fr", ["nobody@hamburger.edu"], "x")
    except smtplib.SMTPRecipientsRefused as error:
        print(error.recipients["nobody@hamburger.edu"][0])
    print(server.mail("alice@crepes.fr", ["size=99999999999"])[0])
with smtplib.SMTP(*host(submission), timeout=30) as server:
    server.starttls(context=trust)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bob@hamburger.edu", "ann@hamburger.edu", "Grüße aus 汉堡"
    message["Bcc"] = "bob@hamburger.edu"
    message.set_content("schön\n.\n..\n")
    message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="all.bin")
    server.login("bob", password)
    print(server.send_message(message))
with smtplib.SMTP_SSL(*host(submissions), timeout=30, context=trust) as server:
    try:
        server.login("bob", "wrong")
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
    server.login("bob@hamburger.edu", password)
    print(server.sendmail("bob@hamburger.edu", ["ann@hamburger.edu"], "Subject: 汉堡\r\n\r\nx".encode(), ["SMTPUTF8", "BODY=8BITMIME"]))
"#;

/// Sends a message with an attachment and one to several over a pool of connections.
const NODEMAILER: &str = r#"
const nodemailer = require("/usr/share/nodejs/nodemailer");
const [port, secure, ca, pass] = process.argv.slice(1);
const transport = nodemailer.createTransport({
  host: "localhost", port: Number(port), secure: secure === "yes", requireTLS: true, pool: true, maxConnections: 2,
  tls: { ca: require("fs").readFileSync(ca) }, auth: { user: "bob", pass },
});
(async () => {
  await transport.verify();
  const sent = await Promise.all([1, 2, 3, 4, 5].map((number) => transport.sendMail({
    from: "bob@hamburger.edu", to: "ann@hamburger.edu", subject: `Nummer ${number} über 汉堡`,
    text: "a line\n.\nanother", attachments: [{ filename: "a.txt", content: "x".repeat(200000) }],
    dsn: { id: "some-id", return: "headers", notify: "success", recipient: "bob@hamburger.edu" },
  })));
  console.log(sent.map((info) => info.accepted.length + info.rejected.length).join(" "));
  transport.close();
})().catch((error) => { console.log(String(error)); process.exit(1); });
"#;

#[test]
fn smtplib_does_all_that_it_can() {
    let office = Office::open(setup());
    let ports =
        [office.smtp(), office.submission(), office.submissions()].map(|door| door.port().to_string());
    let [smtp, submission, submissions] = &ports;
    let words = ["-c", SMTPLIB, smtp, submission, submissions, &office.ca(), &office.bob_password];
    let told = programs::run("/usr/bin/python3", &words).done();
    let features = "['8bitmime', 'binarymime', 'chunking', 'dsn', 'enhancedstatuscodes', 'limits', 'pipelining', \
                    'size', 'smtputf8', 'starttls']";
    let refused = "{'eve@elsewhere.test': (550, b'5.7.1 relaying denied: log in to send to other domains')}";
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        ["250", "{}", features, "252 250 250 500", refused, "550", "552", "{}", "535", "{}"],
        "{told}"
    );
    assert_eq!(office.messages("bob").len(), 3, "ketchup, two, and the blind copy");
    assert!(
        office.raw("bob", 0).ends_with("Do you like ketchup?\r\nHow about pickles?\r\n"),
        "{}",
        office.raw("bob", 0)
    );
    assert_eq!(office.subjects("ann"), ["Grüße aus 汉堡", "汉堡"]);
    assert!(!office.raw("ann", 0).contains("Bcc:"));
    office.server.stop();
}

#[test]
fn nodemailer_sends_over_a_pool() {
    let office = Office::open(setup());
    for (door, secure) in [(office.submission(), "no"), (office.submissions(), "yes")] {
        let port = door.port().to_string();
        let words = ["-e", NODEMAILER, &port, secure, &office.ca(), &office.bob_password];
        assert_eq!(programs::run("node", &words).done(), "1 1 1 1 1\n");
    }
    let subjects = office.subjects("ann");
    assert_eq!(subjects.len(), 10);
    assert!(subjects.contains(&"Nummer 5 über 汉堡".to_owned()), "{subjects:?}");
    office.server.stop();
}
