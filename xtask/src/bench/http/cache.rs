//! `bench cache`: responses kept in front of an origin, against nginx, Varnish, HAProxy, Traffic Server and Squid.
//! Hits of several lengths, hits over HTTP/2, what may not be kept, and a thousand clients at once that want
//! what nobody has yet.

use std::path::Path;

use super::{Load, h2load, peers, run_wrk, wrk};
use crate::bench::dns::version;
use crate::bench::measure::{Round, Server, Up, interleave};
use crate::bench::{home, prepare, program, scratch, table, traffic_server_folders, write};
use crate::run::{Failed, Outcome, output};

/// The port of the origin that has the files.
const ORIGIN: u16 = 8430;
/// The port of the origin that takes its time and counts.
const SLOW_ORIGIN: u16 = 8429;
/// Clients that want the same at once.
const STORM: &str = "1000";

/// Starts a server on a port, with its files in a folder.
type Start = fn(&Path, u16) -> Result<Server, Failed>;

/// Runs all tables.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("cache")?;
    let root = folder.join("site");
    std::fs::create_dir_all(&root).map_err(|error| Failed(error.to_string()))?;
    for (name, octets) in [("1k", 1024), ("10k", 10 * 1024), ("100k", 100 * 1024)] {
        write(&root.join(name), &"0123456789abcdef".repeat(octets / 16))?;
    }
    peers::certificate(&folder)?;
    let chain =
        std::fs::read_to_string(folder.join("chain.pem")).map_err(|error| Failed(error.to_string()))?;
    let key = std::fs::read_to_string(folder.join("key.pem")).map_err(|error| Failed(error.to_string()))?;
    write(&folder.join("both.pem"), &(chain + &key))?;
    let _origin = origin(&folder)?;
    let slow = [&program("load"), "origin", &SLOW_ORIGIN.to_string()];
    let _slow = Server::start_on("1", "slow-origin", "", SLOW_ORIGIN, Up::Tcp, &slow, &folder)?;
    let starts: [Start; 6] = [doorway, nginx, varnish, haproxy, traffic_server, squid];
    let mut servers = Vec::new();
    for (start, port) in starts.into_iter().zip(8431..) {
        servers.push(start(&folder, port)?);
    }
    for server in &servers {
        is_kept(server)?;
    }
    println!(
        "\n`cargo xtask bench cache`: one server thread on core 0, origin and client on core 1, {} rounds of {} s.",
        crate::bench::ROUNDS,
        crate::bench::SECONDS
    );
    for (title, path, load) in [
        ("Hit of 1 KB", "1k", wrk as Load),
        ("Hit of 10 KB", "10k", wrk),
        ("Hit of 100 KB", "100k", wrk_16),
        ("1 KB that may not be kept", "private/1k", wrk),
    ] {
        let series = interleave(&servers, |server| load(server, path))?;
        table::print(title, "request", &servers, &series, "doorway", "doorway");
    }
    storm(&servers)?;
    // Those that speak it without another program in front.
    servers.retain(|server| ["doorway", "nginx", "haproxy", "traffic server"].contains(&&*server.name));
    let series = interleave(&servers, |server| h2load(server, "10k"))?;
    table::print("Hit of 10 KB, HTTP/2 over TLS 1.3", "request", &servers, &series, "doorway", "doorway");
    Ok(())
}

fn wrk_16(server: &Server, path: &str) -> Result<Round, Failed> {
    run_wrk(server, path, &["-c16"])
}

/// Fails unless the second of two requests is answered without the origin.
fn is_kept(server: &Server) -> Outcome {
    let url = format!("http://127.0.0.1:{}/10k", server.port);
    let fetch = || output("curl", &["-q", "--silent", "--fail", "--include", "--noproxy", "*", &url]);
    fetch()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    let answer = fetch()?;
    let has = |text: &str| answer.to_ascii_lowercase().contains(text);
    if has("\r\nage: ") || has("x-cache: hit") || has("; hit") {
        return Ok(());
    }
    Err(Failed(format!(
        "{} does not keep what it may:\n{}",
        server.name,
        answer.get(..600).unwrap_or(&answer)
    )))
}

/// How often the origin is asked for what a thousand clients want at once, and how long they all take.
fn storm(servers: &[Server]) -> Outcome {
    println!("\n### {STORM} clients at once for what nobody has; the origin takes 200 ms\n");
    println!(
        "| server | requests to the origin | all answered after ms | wrong |\n| --- | ---: | ---: | ---: |"
    );
    let asked = || {
        let url = format!("http://127.0.0.1:{SLOW_ORIGIN}/count");
        output("curl", &["-q", "--silent", "--fail", "--noproxy", "*", &url])?
            .trim()
            .parse::<u64>()
            .map_err(|error| Failed(format!("the origin's count: {error}")))
    };
    for server in servers {
        let before = asked()?;
        let port = server.port.to_string();
        let told = output("taskset", &["-c", "1", &program("load"), "storm", &port, "/slow/one", STORM])?;
        let (millis, wrong) = told.trim().split_once(' ').unwrap_or((&told, "?"));
        println!("| {} {} | {} | {millis} | {wrong} |", server.name, server.version, asked()? - before);
    }
    Ok(())
}

/// The origin: nginx, with files that may be kept and the same that may not.
fn origin(folder: &Path) -> Result<Server, Failed> {
    let home = home(folder, "origin")?;
    let (config, files) = (format!("{home}/nginx.conf"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; keepalive_timeout 600s; keepalive_requests 1000000000; open_file_cache max=1000;\n\
             client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;\n\
             server {{ listen 127.0.0.1:{ORIGIN} backlog=1024; root {files}/site;\n\
             location / {{ add_header Cache-Control max-age=3600; }}\n\
             location /private/ {{ alias {files}/site/; add_header Cache-Control no-store; }} }} }}\n"
        ),
    )?;
    let line = ["nginx", "-c", &config];
    Server::start_on("1", "origin", "", ORIGIN, Up::Tcp, &line, folder)
}

fn doorway(folder: &Path, port: u16) -> Result<Server, Failed> {
    let config = folder.join("doorway.toml");
    write(
        &config,
        &format!(
            "[server]\nworkers = 1\n[limits]\nconnections_per_address = 0\n[dns]\nlisten = []\nlisten_tls = []\n\
             [mail]\ndomains = []\n[metrics]\nlisten = []\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nlisten_tls = \"127.0.0.1:{}\"\nkeepalive = \"600s\"\nkeepalive_requests_max = 1000000000\n\
             [[http.cache]]\nname = \"web\"\n\
             [[http.site]]\n[[http.site.route]]\npath = \"/\"\nproxy = [\"http://127.0.0.1:{ORIGIN}\"]\ncache = \"web\"\n\
             [[http.site.route]]\npath = \"/slow\"\nproxy = [\"http://127.0.0.1:{SLOW_ORIGIN}\"]\ncache = \"web\"\n",
            port + peers::TLS_APART,
        ),
    )?;
    let (config, data) = (config.display().to_string(), folder.join("data").display().to_string());
    let line = [&program("doorway"), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Tcp, &line, folder)
}

fn nginx(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "nginx")?;
    let (config, files) = (format!("{home}/nginx.conf"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600s; keepalive_requests 1000000000;\n\
             client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;\n\
             proxy_cache_path {home}/cache keys_zone=web:10m max_size=1g; proxy_cache web; proxy_cache_lock on; open_file_cache max=1000;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; add_header X-Cache $upstream_cache_status;\n\
             ssl_certificate {files}/chain.pem; ssl_certificate_key {files}/key.pem; ssl_protocols TLSv1.3;\n\
             upstream origin {{ server 127.0.0.1:{ORIGIN}; keepalive 64; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=1024; listen 127.0.0.1:{} backlog=1024 ssl http2;\n\
             location / {{ proxy_pass http://origin; }} location /slow/ {{ proxy_pass http://127.0.0.1:{SLOW_ORIGIN}; }} }} }}\n",
            port + peers::TLS_APART,
        ),
    )?;
    Server::start("nginx", &version(&["nginx", "-v"]), port, Up::Tcp, &["nginx", "-c", &config], folder)
}

fn varnish(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "varnish")?;
    let config = format!("{home}/default.vcl");
    write(
        Path::new(&config),
        &format!(
            "vcl 4.1;\nbackend files {{ .host = \"127.0.0.1\"; .port = \"{ORIGIN}\"; }}\n\
             backend slow {{ .host = \"127.0.0.1\"; .port = \"{SLOW_ORIGIN}\"; }}\n\
             sub vcl_recv {{ if (req.url ~ \"^/slow/\") {{ set req.backend_hint = slow; }} else {{ set req.backend_hint = files; }} }}\n"
        ),
    )?;
    let listen = format!("127.0.0.1:{port}");
    let line =
        ["varnishd", "-F", "-j", "none", "-n", &home, "-a", &listen, "-f", &config, "-s", "malloc,256m"];
    Server::start("varnish", &version(&["varnishd", "-V"]), port, Up::Tcp, &line, folder)
}

fn haproxy(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "haproxy")?;
    let (config, files) = (format!("{home}/haproxy.cfg"), folder.display());
    write(
        Path::new(&config),
        &format!(
            "global\n  nbthread 1\n  maxconn 4096\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  timeout server 60s\n\
             cache web\n  total-max-size 256\n  max-object-size 1000000\n  max-age 3600\n\
             frontend web\n  bind 127.0.0.1:{port}\n  bind 127.0.0.1:{} ssl crt {files}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3\n\
             \x20 http-request cache-use web\n  http-response cache-store web\n  use_backend slow if {{ path_beg /slow/ }}\n  default_backend files\n\
             backend files\n  http-request cache-use web\n  http-response cache-store web\n  server one 127.0.0.1:{ORIGIN}\n\
             backend slow\n  http-request cache-use web\n  http-response cache-store web\n  server one 127.0.0.1:{SLOW_ORIGIN}\n",
            port + peers::TLS_APART,
        ),
    )?;
    let line = ["haproxy", "-db", "-f", &config];
    Server::start("haproxy", &version(&["haproxy", "-v"]), port, Up::Tcp, &line, folder)
}

fn traffic_server(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "ats")?;
    let run_root = traffic_server_folders(&home)?;
    let place = |name: &str| format!("{home}/etc/{name}");
    let tls = port + peers::TLS_APART;
    write(
        Path::new(&place("records.config")),
        &format!(
            "CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1 {tls}:ssl:ip-in=127.0.0.1\n\
             CONFIG proxy.config.exec_thread.autoconfig INT 0\nCONFIG proxy.config.exec_thread.limit INT 1\n\
             CONFIG proxy.config.accept_threads INT 0\nCONFIG proxy.config.cache.threads_per_disk INT 1\n\
             CONFIG proxy.config.log.logging_enabled INT 0\nCONFIG proxy.config.admin.user_id STRING trafficserver\n\
             CONFIG proxy.config.url_remap.remap_required INT 1\nCONFIG proxy.config.http.insert_age_in_response INT 1\n\
             CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600\n\
             CONFIG proxy.config.net.max_connections_in INT 16384\n\
             CONFIG proxy.config.cache.ram_cache.size INT 268435456\n\
             CONFIG proxy.config.ssl.server.cert.path STRING {files}\nCONFIG proxy.config.ssl.server.private_key.path STRING {files}\n",
            files = folder.display(),
        ),
    )?;
    write(
        Path::new(&place("remap.config")),
        &format!("map /slow/ http://127.0.0.1:{SLOW_ORIGIN}/slow/\nmap / http://127.0.0.1:{ORIGIN}/\n"),
    )?;
    write(Path::new(&place("storage.config")), &format!("{home}/cache 512M\n"))?;
    write(
        Path::new(&place("ssl_multicert.config")),
        "dest_ip=* ssl_cert_name=chain.pem ssl_key_name=key.pem\n",
    )?;
    // It will not run as root.
    output("chown", &["-R", "trafficserver", &home])?;
    output("chmod", &["644", &folder.join("key.pem").display().to_string()])?;
    let run_root = format!("--run-root={run_root}");
    let line = ["traffic_server", &run_root];
    let version = version(&["traffic_server", "--version"]);
    Server::start("traffic server", &version, port, Up::Tcp, &line, folder)
}

fn squid(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = home(folder, "squid")?;
    let config = format!("{home}/squid.conf");
    write(
        Path::new(&config),
        &format!(
            "http_port 127.0.0.1:{port} accel no-vhost defaultsite=127.0.0.1\n\
             cache_peer 127.0.0.1 parent {ORIGIN} 0 no-query no-digest originserver name=files\n\
             cache_peer 127.0.0.1 parent {SLOW_ORIGIN} 0 no-query no-digest originserver name=slow\n\
             acl slow urlpath_regex ^/slow/\ncache_peer_access slow allow slow\ncache_peer_access slow deny all\n\
             cache_peer_access files deny slow\ncache_peer_access files allow all\n\
             http_access allow all\ncache_mem 256 MB\nmaximum_object_size_in_memory 1 MB\ncollapsed_forwarding on\n\
             access_log none\ncache_log {home}/cache.log\ncache_store_log none\npid_filename {home}/squid.pid\n\
             coredump_dir {home}\nclient_idle_pconn_timeout 600 seconds\nshutdown_lifetime 1 seconds\n"
        ),
    )?;
    let line = ["squid", "-N", "-f", &config];
    Server::start("squid", &version(&["squid", "-v"]), port, Up::Tcp, &line, folder)
}
