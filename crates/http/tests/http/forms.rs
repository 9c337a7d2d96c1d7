//! Forms that a handler reads as they come: fields as text, files on disk.

use std::path::PathBuf;
use std::sync::Arc;

use doorway_http::form::FormLimits;
use doorway_http::io::FormError;
use doorway_http::{Handlers, Server, Sites, Submitted};
use doorway_net::web::{Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, tcp};
use doorway_sim::Simulation;

use crate::support::{Folder, SERVER, config, talk};

/// Keeps the files of a form in a folder and tells what came.
struct Keeper(PathBuf);

impl Keeper {
    async fn keep(&self, mut request: Request) -> Result<String, FormError> {
        let form = Submitted::read(&mut request, &self.0, FormLimits::default()).await?;
        form.only("once")?;
        let mut told: String = form.fields.iter().map(|(name, value)| format!("{name}={value};")).collect();
        for upload in &form.files {
            let name = upload.name.clone().unwrap_or_default();
            if !name.is_empty() {
                upload.keep(&self.0.join(&name), true)?;
            }
            let media_type = upload.media_type.as_deref().unwrap_or("-");
            told.push_str(&format!("{}:{name}:{media_type}:{};", upload.field, upload.octets));
        }
        Ok(told)
    }
}

impl Handler for Keeper {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async {
            match self.keep(request).await {
                Ok(told) => Response::new(200, "text/plain", told),
                Err(FormError::Refused(refusal)) => {
                    Response::new(refusal.status().code(), "text/plain", refusal.rule.code)
                }
                Err(FormError::Io(error)) => Response::new(500, "text/plain", error.to_string()),
            }
        })
    }
}

/// Status and content of the answer to a form, and the folder in which its files were kept.
fn send(content_type: &str, body: &[u8]) -> (String, Folder) {
    let folder = Folder::new();
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let world = sim.world(server);
    let sites = Sites::open(&config(None), &Handlers::default()).unwrap();
    let sites = sites.mount("/keep", Arc::new(Keeper(folder.public())));
    let http = Arc::new(Server::new(&world, &config(None), sites));
    tcp::serve(&world, SERVER.parse().unwrap(), &http.tcp_options(false), &http).unwrap();
    let head = format!(
        "POST /keep HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (world, octets) = (sim.world(client), [head.as_bytes(), body].concat());
    let answer = sim.run(client, async move { talk(&world, &octets).await }).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (format!("{} {body}", &answer[9..12]), folder)
}

#[test]
fn files_go_to_disk_and_fields_to_the_handler() {
    let file: Vec<u8> = (0..300_000_u32).map(|number| (number % 253) as u8).collect();
    let body = [
        &b"--xyz\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nb\xc3\xa4r\r\n--xyz\r\n"[..],
        b"Content-Disposition: form-data; name=\"f\"; filename=\"../../up.bin\"\r\nContent-Type: a/b\r\n\r\n",
        &file,
        b"\r\n--xyz\r\nContent-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\r\n\r\n--xyz--\r\n",
    ]
    .concat();
    let (told, folder) = send("multipart/form-data; boundary=xyz", &body);
    assert_eq!(told, "200 note=bär;f:up.bin:a/b:300000;none::-:0;");
    assert!(std::fs::read(folder.public().join("up.bin")).unwrap() == file);
    assert!(!folder.0.join("up.bin").exists());
    let (told, _) = send("application/x-www-form-urlencoded", b"a=1&b=x+y");
    assert_eq!(told, "200 a=1;b=x y;");
}

#[test]
fn a_form_that_breaks_a_rule_leaves_nothing_behind() {
    let part = "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"half.bin\"\r\n\r\n";
    for (content_type, body, expected) in [
        ("text/plain", String::new(), "415 form_media_type"),
        ("multipart/form-data", String::new(), "400 form_boundary"),
        ("multipart/form-data; boundary=xyz", format!("{part}{}", "x".repeat(100_000)), "400 form_end"),
        ("application/x-www-form-urlencoded", "a=%f".to_owned(), "400 form_percent"),
        ("application/x-www-form-urlencoded", format!("a={}", "x".repeat(70_000)), "413 form_field_length"),
        ("application/x-www-form-urlencoded", "a=&".repeat(1001), "413 form_parts_count"),
        ("application/x-www-form-urlencoded", "once=1&once=2".to_owned(), "400 form_field_count"),
    ] {
        let (told, folder) = send(content_type, body.as_bytes());
        assert_eq!(told, expected, "{content_type}");
        assert_eq!(names(&folder), names(&Folder::new()), "{expected}");
    }
}

/// What lies in the folder that is served.
fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.public()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
