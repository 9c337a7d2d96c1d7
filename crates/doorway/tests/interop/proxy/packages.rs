//! Package programs that fetch through us, each as two machines one after the other: what the first one downloaded
//! the second one gets without its server being asked for it again.

use std::path::Path;

use crate::programs::{self, Ran};
use crate::server::Server;

use super::forward::{NAME, proxy, setup};
use super::neighbour::Neighbour;

/// A proxy that keeps packages.
fn keeping(profile: &str) -> Server {
    let cache = "[{ name = \"packages\" }]";
    setup(&format!("cache = \"packages\", profiles = [\"{profile}\"]")).key("http.cache", cache).start()
}

/// How often a server was asked for what ends in this.
fn asked(origin: &Neighbour, end: &str) -> usize {
    let wanted = |line: &&String| line.split(' ').nth(1).is_some_and(|target| target.ends_with(end));
    origin.lines("requests.txt").iter().filter(wanted).count()
}

fn sha256(folder: &Path, file: &str) -> (String, u64) {
    let path = folder.join(file);
    let told = programs::run("sha256sum", &[path.to_str().unwrap()]).done();
    (told.split(' ').next().unwrap().to_owned(), std::fs::metadata(path).unwrap().len())
}

/// A repository of one package, as Debian's are laid out.
fn repository(origin: &Neighbour) {
    let (folder, place) = (&origin.folder, "pool/main/d/demo/demo_1.0_all.deb");
    let control = "Package: demo\nVersion: 1.0\nArchitecture: all\nMaintainer: Ann <ann@example.org>\nDescription: demo\n";
    folder.write("tree/DEBIAN/control", control);
    folder.write("tree/usr/share/demo/data", "demo ".repeat(10_000));
    folder.write(&format!("www/debian/{place}"), "");
    let (tree, package) = (folder.word("tree"), folder.word(&format!("www/debian/{place}")));
    programs::run("dpkg-deb", &["--build", "--root-owner-group", &tree, &package]).done();
    let (sum, octets) = sha256(folder.path(), &format!("www/debian/{place}"));
    let index = "main/binary-all/Packages";
    let of_index = format!("{control}Filename: {place}\nSize: {octets}\nSHA256: {sum}\n");
    let architecture = programs::run("dpkg", &["--print-architecture"]).done();
    for index in [index.to_owned(), format!("main/binary-{}/Packages", architecture.trim())] {
        folder.write(&format!("www/debian/dists/stable/{index}"), &of_index);
    }
    let (sum, octets) = sha256(folder.path(), &format!("www/debian/dists/stable/{index}"));
    let files: String = [index.to_owned(), format!("main/binary-{}/Packages", architecture.trim())]
        .iter()
        .map(|index| format!(" {sum} {octets} {index}\n"))
        .collect();
    let date = "Date: Sun, 22 Nov 2026 00:00:00 UTC";
    let release = format!(
        "Suite: stable\nCodename: stable\n{date}\nArchitectures: all\nComponents: main\nSHA256:\n{files}"
    );
    folder.write("www/debian/dists/stable/Release", release);
}

#[test]
fn apt_downloads_a_package_twice_and_its_server_sends_it_once() {
    let origin = Neighbour::nginx("");
    repository(&origin);
    let server = keeping("apt");
    for (machine, of_package) in [("one", 1), ("two", 1)] {
        let folder = origin.folder.path().join(machine);
        for part in ["state/lists/partial", "cache/archives/partial", "got"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let home = folder.display();
        let list = format!("deb [trusted=yes] http://{NAME}:{}/debian stable main\n", origin.port);
        origin.folder.write(&format!("{machine}/sources.list"), list);
        let options = [
            format!("Dir::Etc::sourcelist={home}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={home}/state"),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={home}/cache"),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            format!("Acquire::http::Proxy=http://{}", proxy(&server)),
        ];
        let words: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        let apt = |what: &[&str]| {
            programs::run_in(&folder.join("got"), "apt-get", &[&words[..], what].concat()).done()
        };
        apt(&["update"]);
        apt(&["download", "demo"]);
        let got = origin.folder.read(&format!("{machine}/got/demo_1.0_all.deb"));
        assert!(got == origin.folder.read("www/debian/pool/main/d/demo/demo_1.0_all.deb"), "{machine}");
        assert_eq!(asked(&origin, ".deb"), of_package, "{machine}: {:?}", origin.lines("requests.txt"));
    }
    server.stop();
}

/// Writes a wheel with one module.
const WHEEL: &str = r#"
import sys, zipfile
name = sys.argv[1]
with zipfile.ZipFile(name, "w") as wheel:
    wheel.writestr("demo.py", "x = 1\n" * 5000)
    wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("demo-1.0.dist-info/RECORD", "")
"#;

#[test]
fn pip_downloads_a_package_twice_and_its_server_sends_it_once() {
    let origin = Neighbour::nginx("");
    let wheel = "demo-1.0-py3-none-any.whl";
    origin.folder.write(&format!("www/packages/{wheel}"), "");
    let file = origin.folder.word(&format!("www/packages/{wheel}"));
    programs::run("/usr/bin/python3", &["-c", WHEEL, &file]).done();
    let link = format!("<!doctype html><a href=\"../../packages/{wheel}\">{wheel}</a>\n");
    origin.folder.write("www/simple/demo/index.html", link);
    let server = keeping("pypi");
    let (index, by) =
        (format!("http://{NAME}:{}/simple/", origin.port), format!("http://{}", proxy(&server)));
    for machine in ["one", "two"] {
        let to = origin.folder.word(machine);
        let words = [
            "-m",
            "pip",
            "--isolated",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "download",
            "--quiet",
        ];
        let from = [
            "--no-deps",
            "--index-url",
            &index,
            "--trusted-host",
            NAME,
            "--proxy",
            &by,
            "--dest",
            &to,
            "demo",
        ];
        programs::run_in(origin.folder.path(), "/usr/bin/python3", &[&words[..], &from].concat()).done();
        assert!(
            origin.folder.read(&format!("{machine}/{wheel}"))
                == origin.folder.read(&format!("www/packages/{wheel}"))
        );
        assert_eq!(asked(&origin, ".whl"), 1, "{machine}: {:?}", origin.lines("requests.txt"));
    }
    assert_eq!(asked(&origin, "/simple/demo/"), 2, "an index is asked about each time");
    server.stop();
}

#[test]
fn npm_installs_a_package_twice_and_its_server_sends_it_once() {
    let origin =
        Neighbour::nginx("location = /demo { default_type application/json; try_files /demo.json =404; }");
    origin.folder.write("package/package.json", "{ \"name\": \"demo\", \"version\": \"1.0.0\" }\n");
    origin.folder.write("package/index.js", "module.exports = 1;\n".repeat(1000));
    origin.folder.write("www/demo/-/demo-1.0.0.tgz", "");
    let (file, from) = (origin.folder.word("www/demo/-/demo-1.0.0.tgz"), origin.folder.word(""));
    programs::run("tar", &["--create", "--gzip", "--file", &file, "--directory", &from, "package"]).done();
    let registry = format!("http://{NAME}:{}/", origin.port);
    let about = format!(
        "{{ \"name\": \"demo\", \"dist-tags\": {{ \"latest\": \"1.0.0\" }}, \"versions\": {{ \"1.0.0\": {{ \"name\": \"demo\", \
         \"version\": \"1.0.0\", \"dist\": {{ \"tarball\": \"{registry}demo/-/demo-1.0.0.tgz\" }} }} }} }}\n"
    );
    origin.folder.write("www/demo.json", about);
    let server = keeping("npm");
    let by = format!("http://{}", proxy(&server));
    for machine in ["one", "two"] {
        let folder = origin.folder.path().join(machine);
        std::fs::create_dir_all(&folder).unwrap();
        let cache = origin.folder.word(&format!("{machine}/cache"));
        let words = ["install", "demo", "--no-audit", "--no-fund", "--no-update-notifier", "--noproxy", ""];
        let from = [
            "--registry",
            &registry,
            "--proxy",
            &by,
            "--cache",
            &cache,
            "--prefix",
            folder.to_str().unwrap(),
        ];
        let ran: Ran = programs::run("npm", &[&words[..], &from].concat());
        assert!(ran.status.success(), "{}\n{}", ran.text(), ran.err);
        assert!(folder.join("node_modules/demo/index.js").is_file(), "{machine}");
        assert_eq!(asked(&origin, ".tgz"), 1, "{machine}: {:?}", origin.lines("requests.txt"));
    }
    assert_eq!(asked(&origin, "/demo"), 2, "an index is asked about each time");
    server.stop();
}
