//! A page loaded by Chromium through the forward proxy, twice, by a browser that knows nothing each time: what
//! Cache-Status says of each part.

use crate::programs;

use super::forward::{NAME, proxy, setup};
use super::neighbour::Neighbour;

/// A page of four parts. Its script asks each of them how it came, and writes that down.
const PAGE: &str = r#"<!doctype html><title>page</title><link rel="stylesheet" href="style.css"><img src="image.svg">
<script src="script.js"></script><pre id="told"></pre><script>
(async () => {
  let told = "";
  for (const part of ["index.html", "style.css", "image.svg", "script.js"]) {
    const answer = await fetch(part);
    told += `${part}: ${answer.status} ${answer.headers.get("Cache-Status")}\n`;
  }
  document.getElementById("told").textContent = told;
  document.title = "done";
})();
</script>
"#;

#[test]
fn a_page_comes_from_the_cache_the_second_time() {
    let origin = Neighbour::nginx("expires 1h;");
    origin.folder.write("www/index.html", PAGE);
    origin.folder.write("www/style.css", "pre { color: green }\n".repeat(200));
    origin.folder.write("www/script.js", "window.x = 1;\n".repeat(200));
    origin
        .folder
        .write("www/image.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>");
    let server = setup("cache = \"pages\"").key("http.cache", "[{ name = \"pages\" }]").start();
    let url = format!("http://{NAME}:{}/index.html", origin.port);
    let by = format!("--proxy-server=http://{}", proxy(&server));
    let load = |profile: &str| {
        let profile = format!("--user-data-dir={}", origin.folder.word(profile));
        let words =
            ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"];
        let told = programs::run("chromium", &[&words[..], &[&by, &profile, &url]].concat()).done();
        let lines = told.split("<pre id=\"told\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        lines.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let (first, second) = (load("one"), load("two"));
    println!("first load\n{first}\nsecond load\n{second}");
    for part in ["index.html", "style.css", "image.svg", "script.js"] {
        let line =
            |told: &str| told.lines().find(|line| line.starts_with(part)).unwrap_or_default().to_owned();
        assert!(line(&first).contains(": 200 doorway; fwd="), "{first}");
        assert!(line(&second).contains(": 200 doorway; hit"), "{second}");
        let asked = origin.lines("requests.txt").iter().filter(|line| line.contains(part)).count();
        assert_eq!(asked, 1, "{part}: {:?}", origin.lines("requests.txt"));
    }
    server.stop();
}
