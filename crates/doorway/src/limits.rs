//! `[limits]` as the doors take it.

use doorway_base::config::Values;
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;

/// The bounds of a listener.
pub(crate) fn tcp(values: &Values) -> TcpLimits {
    let count = |name| u32::try_from(values.count(name)).unwrap_or(u32::MAX);
    TcpLimits {
        connections: values.count("connections") as u64,
        connections_per_address: count("connections_per_address"),
        count_loopback: false,
        accepts_per_second: count("accepts_per_second"),
        handshake: values.duration("handshake"),
        first_octet: values.duration("first_octet"),
        idle: values.duration("idle"),
        write_stall: values.duration("write_stall"),
        progress_grace: values.duration("progress_grace"),
        progress_octets_per_second: values.count("progress_octets_per_second") as u64,
    }
}

/// Whose connections begin with a PROXY header.
pub(crate) fn proxies(values: &Values) -> ProxySources {
    ProxySources(values.cidrs("proxies"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_defaults_of_the_config_are_those_of_the_doors() {
        let (config, _) = Config::read(None);
        assert_eq!(tcp(config.section("limits")), TcpLimits::default());
        assert_eq!(proxies(config.section("limits")).0, []);
    }
}
