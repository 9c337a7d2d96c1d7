//! The shop with curl's cookie jar and with a real browser, which also takes pictures: they are kept when
//! `SHOP_PICTURES` names a folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "the real program is looked at from outside")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A shop that runs, gone with the value.
struct Shop {
    process: Child,
    data: PathBuf,
    password: String,
    plain: String,
    tls: String,
}

impl Shop {
    fn open(name: &str) -> Self {
        let data = std::env::temp_dir().join(format!("doorway-shop-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let mut process = Command::new(env!("CARGO_BIN_EXE_doorway-shop"))
            .arg(&data)
            .args(["127.0.0.1:0", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let password = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
        let (plain, tls) = (lines.next().unwrap(), lines.next().unwrap());
        Self { process, data, password, plain, tls }
    }

    /// What a program prints with these words.
    fn run(program: &str, words: &[&str]) -> String {
        let output = Command::new("timeout").args(["100", program]).args(words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn curl(&self, words: &[&str], path: &str) -> String {
        let jar = self.data.join("jar.txt");
        let jar = jar.to_str().unwrap();
        let url = format!("{}{path}", self.plain);
        let own = ["-q", "-s", "-S", "--noproxy", "*", "-b", jar, "-c", jar];
        Self::run("curl", &[&own, words, &[url.as_str()]].concat())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The token of the first form on a page.
fn token(page: &str) -> String {
    let rest = page.split("name=\"token\" value=\"").nth(1).unwrap_or_else(|| panic!("no form in {page}"));
    format!("token={}", rest.split('"').next().unwrap())
}

#[test]
fn curls_jar_carries_a_cart_through_a_login() {
    let shop = Shop::open("curl");
    assert!(!shop.curl(&["-i"], "").contains("Set-Cookie"), "nothing to remember yet");
    let good = shop.curl(&["-i"], "good/4");
    assert!(good.contains("Set-Cookie: sid=") && good.contains("Armchair"), "{good}");
    let cart = shop.curl(&["-L", "-d", "id=4", "-d", &token(&good)], "cart");
    assert!(cart.contains("Reading lamp") && cart.contains("59.00 €"), "{cart}");
    assert!(shop.curl(&["-d", "id=4", "-d", "token=0"], "cart").contains("That did not work"));
    let answer = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
    let to_login = shop.curl(&[&answer[..], &["-d", &token(&cart)]].concat(), "cart/order");
    assert_eq!(to_login, format!("303 {}login?to=/cart", shop.plain));
    let login = token(&shop.curl(&[], "login?to=/cart"));
    let password = format!("password={}", shop.password);
    let form = ["-d", "user=ann", "-d", "to=/cart", "-d", &password, "-d", &login];
    assert_eq!(shop.curl(&[&answer[..], &form].concat(), "login"), format!("303 {}cart", shop.plain));
    let told = shop.curl(&[], "cookies");
    for what in ["<code>ann</code>", "1 × Reading lamp", "cart.4=1&amp;seen=4", "128 random bits"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let cart = shop.curl(&[], "cart");
    assert!(shop.curl(&["-d", &token(&cart)], "cart/order").contains("Thank you, ann"));
    assert!(shop.curl(&[], "cart").contains("Your cart is empty"));
}

#[test]
fn a_browser_looks_buys_and_logs_in() {
    let shop = Shop::open("browser");
    let pictures = std::env::var("SHOP_PICTURES").unwrap_or_else(|_| shop.data.to_str().unwrap().to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser.py");
    // Debian's own Python is the one that sees Debian's packages.
    let told = Shop::run("/usr/bin/python3", &[script, &shop.tls, &shop.password, &pictures]);
    for name in ["desktop", "phone"] {
        for line in [
            "first visit: None",
            "The name or the password is wrong.",
            "at /cart with another cookie: True",
            "wider than the screen: False",
            "scripts see: ''",
            "Thank you, ann",
            "blocked: []",
        ] {
            assert!(told.contains(&format!("{name} {line}\n")), "{name} {line}: {told}");
        }
    }
}
