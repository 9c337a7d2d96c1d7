//! The servers of the HTTP benchmarks, set up alike: one thread, no access log, connections that last, files sent
//! without being read where the server can. Each serves the same folder without TLS on its port, and with TLS
//! [`TLS_APART`] above it.

use std::path::Path;
use std::process::Command;

use crate::bench::dns::version;
use crate::bench::measure::{Server, Up};
use crate::bench::{home, program, write};
use crate::run::{Failed, Outcome};

/// How far a server's port for TLS is from the one without.
pub const TLS_APART: u16 = 50;

/// Makes the certificate and the key that peers show, on the curve P-256 as the local authority's are.
pub fn certificate(folder: &Path) -> Outcome {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "chain.pem"])
        .current_dir(folder)
        .output()
        .map_err(|error| Failed(format!("cannot run openssl: {error}")))?;
    let why = || Failed(format!("openssl said:\n{}", String::from_utf8_lossy(&made.stderr)));
    made.status.success().then_some(()).ok_or_else(why)
}

/// Ours, with a certificate of the local authority.
pub fn doorway(folder: &Path, port: u16) -> Result<Server, Failed> {
    let config = folder.join("doorway.toml");
    write(
        &config,
        &format!(
            "[server]\nworkers = 1\n[limits]\nconnections_per_address = 0\n[dns]\nlisten = []\nlisten_tls = []\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nlisten_tls = \"127.0.0.1:{}\"\nroot = \"{}\"\nkeepalive = \"600s\"\nkeepalive_requests_max = 1000000000\n\
             [mail]\ndomains = []\n[metrics]\nlisten = []\n",
            port + TLS_APART,
            folder.join("site").display()
        ),
    )?;
    let (config, data) = (config.display().to_string(), folder.join("data").display().to_string());
    let line = [&program("doorway"), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Tcp, &line, folder)
}

/// nginx, told to keep files open, as the others do by themselves.
pub fn nginx(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "nginx")?;
    let (config, files) = (format!("{home}/nginx.conf"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600s; keepalive_requests 1000000000;\n\
             client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;\n\
             types {{ text/html html; }} open_file_cache max=1000; open_file_cache_valid 1s;\n\
             ssl_certificate {files}/chain.pem; ssl_certificate_key {files}/key.pem; ssl_protocols TLSv1.3;\n\
             server {{ listen 127.0.0.1:{port} backlog=1024; listen 127.0.0.1:{} backlog=1024 ssl http2; root {files}/site; }} }}\n",
            port + TLS_APART,
        ),
    )?;
    Server::start("nginx", &version(&["nginx", "-v"]), port, Up::Tcp, &["nginx", "-c", &config], folder)
}

/// H2O, which keeps files open on its own.
pub fn h2o(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "h2o")?;
    let (config, files) = (format!("{home}/h2o.conf"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "num-threads: 1\nmax-connections: 16384\nuser: root\npid-file: {home}/pid\nerror-log: {home}/error.log\n\
             http1-request-timeout: 600\nhttp2-idle-timeout: 600\n\
             listen:\n  host: 127.0.0.1\n  port: {port}\n\
             listen:\n  host: 127.0.0.1\n  port: {}\n  ssl:\n    certificate-file: {files}/chain.pem\n    key-file: {files}/key.pem\n\
             hosts:\n  default:\n    paths:\n      \"/\":\n        file.dir: {files}/site\n",
            port + TLS_APART,
        ),
    )?;
    Server::start("h2o", &version(&["h2o", "-v"]), port, Up::Tcp, &["h2o", "-c", &config], folder)
}

/// Caddy, with one processor for all its threads.
pub fn caddy(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "caddy")?;
    let (config, files) = (format!("{home}/Caddyfile"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {home}\n}}\n\
             http://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\troot * {files}/site\n\tfile_server\n}}\n\
             https://127.0.0.1:{} {{\n\tbind 127.0.0.1\n\ttls {files}/chain.pem {files}/key.pem\n\troot * {files}/site\n\tfile_server\n}}\n",
            port + TLS_APART,
        ),
    )?;
    let place = format!("HOME={home}");
    let line = ["env", "GOMAXPROCS=1", &place, "caddy", "run", "--config", &config, "--adapter", "caddyfile"];
    Server::start("caddy", &version(&["caddy", "version"]), port, Up::Tcp, &line, folder)
}
