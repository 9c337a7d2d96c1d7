//! A proxy between a client and servers that say what they are told to, over the virtual network.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_http::config::{ProxyConfig, RouteConfig, RouteDoes, SiteConfig, UpstreamConfig};
use doorway_http::io::proxy::Proxies;
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_net::resolve::{Hosts, Resolve};
use doorway_net::{Connection, TcpService, World, tcp};
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{SERVER, config};

/// What a server was asked: each request with its content, in order.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

/// What a server does with a request.
pub(crate) type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// The answer to one request.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    /// Octets, each batch after a second more.
    pub(crate) octets: Vec<Vec<u8>>,
    /// Whether the connection ends after them.
    pub(crate) closes: bool,
    /// Whether everything that comes after is sent back.
    pub(crate) echoes: bool,
}

impl Reply {
    pub(crate) fn new(octets: &str) -> Self {
        Self { octets: vec![octets.as_bytes().to_vec()], ..Self::default() }
    }

    pub(crate) fn ok(content: &str) -> Self {
        Self::new(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len()))
    }

    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

struct Scripted {
    script: Script,
    heard: Heard,
    world: World,
}

/// Serves by a script at port 80 and others of this node.
pub(crate) fn scripted(world: &World, address: &str, ports: &[u16], script: Script, heard: &Heard) {
    let service = Arc::new(Scripted { script, heard: Arc::clone(heard), world: world.clone() });
    let mut options = tcp::TcpOptions::new("server", "http", 80);
    options.limits.idle = Duration::ZERO;
    for port in ports {
        tcp::serve(world, format!("{address}:{port}").parse().unwrap(), &options, &service).unwrap();
    }
}

impl TcpService for Scripted {
    async fn serve(&self, mut connection: Connection) {
        let stream = &mut connection.stream;
        let mut waiting = Vec::new();
        loop {
            let Some(request) = next_request(stream, &mut waiting).await else { return };
            self.heard.lock().unwrap().push(request.clone());
            let reply = (self.script)(&request);
            for (place, octets) in reply.octets.iter().enumerate() {
                if place > 0 {
                    self.world.sleep(Duration::from_secs(1)).await;
                }
                if stream.write_all(octets).await.is_err() {
                    return;
                }
            }
            if reply.echoes {
                let mut piece = vec![0; 1024];
                if stream.write_all(&std::mem::take(&mut waiting).to_ascii_uppercase()).await.is_err() {
                    return;
                }
                while let Ok(count @ 1..) = stream.read(&mut piece).await {
                    if stream.write_all(&piece[..count].to_ascii_uppercase()).await.is_err() {
                        return;
                    }
                }
                let _ = stream.write_all(b"BYE").await;
                return;
            }
            if reply.closes {
                return;
            }
        }
    }
}

/// The next request with its content as it stands on the wire, octets beyond ASCII as `\xff`; `None` at the end.
async fn next_request(stream: &mut doorway_net::Stream, waiting: &mut Vec<u8>) -> Option<String> {
    loop {
        let text: String =
            waiting.iter().map(|octet| if octet.is_ascii() { char::from(*octet) } else { '?' }).collect();
        if let Some(end) = text.find("\r\n\r\n").map(|end| end + 4) {
            let lower = text[..end].to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let whole = match length {
                Some(length) => end + length.parse::<usize>().unwrap(),
                None if lower.contains("transfer-encoding: chunked") => {
                    text[end..].find("0\r\n\r\n").map_or(usize::MAX, |last| end + last + 5)
                }
                None => end,
            };
            if waiting.len() >= whole {
                let shown = |octet: u8| match octet.is_ascii() {
                    true => char::from(octet).to_string(),
                    false => format!("\\x{octet:02x}"),
                };
                return Some(waiting.drain(..whole).map(shown).collect());
            }
        }
        let mut piece = vec![0; 4096];
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => waiting.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

/// A network of servers, a proxy at [`SERVER`] in front of them, and a client.
pub(crate) struct Network {
    pub(crate) sim: Simulation,
    pub(crate) client: Node,
    pub(crate) proxies: Arc<Proxies>,
}

/// Servers at `10.0.1.1`, `10.0.1.2` and so on, one for each script; `None` for one that is not there.
pub(crate) fn network(
    scripts: Vec<Option<Script>>,
    heard: &Heard,
    edit: impl FnOnce(&mut UpstreamConfig),
) -> Network {
    let mut sim = Simulation::new(1);
    let (gate, client) = (sim.node("gate", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let mut addresses = Vec::new();
    for (place, script) in scripts.into_iter().enumerate() {
        let address = format!("10.0.1.{}", place + 1);
        let node = sim.node(&format!("server-{place}"), &address);
        sim.link(gate, node, Link::default());
        if let Some(script) = script {
            scripted(&sim.world(node), &address, &[80], script, heard);
        }
        addresses.push(format!("http://{address}"));
    }
    let mut upstream = UpstreamConfig::plain(&addresses);
    upstream.name = "app".to_owned();
    edit(&mut upstream);
    let world = sim.world(gate);
    let proxies = serve(&world, upstream);
    Network { sim, client, proxies }
}

/// A proxy for every path.
fn serve(world: &World, upstream: UpstreamConfig) -> Arc<Proxies> {
    // A test of what is collected first says so by the name.
    let buffers = upstream.name == "buffered";
    let to = ProxyConfig { to: vec![upstream.name.clone()], cache: None, buffers };
    let mut site = SiteConfig::plain(None);
    site.routes = vec![RouteConfig::plain("/", RouteDoes::Proxy(to))];
    let config = Config { sites: vec![site], upstreams: vec![upstream], ..config(None) };
    let resolver: Arc<dyn Resolve> = Arc::new(Hosts::default());
    let proxies = Arc::new(Proxies::open(world, &resolver, &config, None).unwrap());
    let handlers = Handlers::default().with_proxies(Arc::clone(&proxies));
    let server = Arc::new(Server::new(world, &config, Sites::open(&config, &handlers).unwrap()));
    tcp::serve(world, SERVER.parse().unwrap(), &server.tcp_options(false), &server).unwrap();
    proxies
}
