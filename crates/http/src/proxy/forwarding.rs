//! What becomes of the fields of a message that is handed on: those about one connection go (RFC 9110 §7.6.1),
//! Via tells the way (§7.6.3), and the server hears who the client is (Forwarded, RFC 7239).
//!
//! Framing is not here: whoever writes a message writes Host, Content-Length and Transfer-Encoding itself, from
//! the message as it was parsed.

use core::net::IpAddr;

use doorway_net::web::Fields;

use crate::wire::Method;
use crate::wire::framing::elements;

/// Fields about one connection, whether Connection names them or not.
const HOP_BY_HOP: [&str; 13] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "te",
    // Trailers are left out.
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    // For the client's side of ours to write.
    "host",
    "content-length",
];

/// Fields by which a proxy says who the client is. From somebody who is not trusted they mean nothing.
const ABOUT_CLIENT: [&str; 8] = [
    "x-forwarded-user",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-real-ip",
];

/// Longest list of proxies in Via that is handed on; a longer one is a loop.
const VIA_MAX: usize = 32;

/// A request comes by this proxy for the second time, or came by too many: 508 (RFC 5842 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looped;

/// The proxy, and on whose behalf it asks.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'h> {
    /// The proxy's name in Via: a token of its own, by which it knows itself again.
    pub name: &'h str,
    /// By which version the message came, as Via has it: `1.1`.
    pub version: &'h str,
    /// Who asks; `None` to tell the server nothing about that.
    pub client: Option<Client<'h>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Client<'h> {
    /// Its address.
    pub address: IpAddr,
    /// Whether it came by TLS.
    pub secure: bool,
    /// Host, and port if there is one, that it asked for.
    pub host: &'h str,
    /// Who it is, where it had to log in here.
    pub user: Option<&'h str>,
    /// Whether it is a proxy that tells the truth about who asked it.
    pub trusted: bool,
}

/// The fields of a request as they are handed on.
///
/// # Errors
/// [`Looped`].
pub fn request_fields(fields: &Fields, hop: &Hop<'_>) -> Result<Fields, Looped> {
    let mut kept = end_to_end(fields);
    let mut seen = 0;
    for received in fields.all("via").flat_map(elements) {
        // `[ protocol-name "/" ] protocol-version RWS received-by [ RWS comment ]`
        let by = received.split(|octet| matches!(octet, b' ' | b'\t')).filter(|word| !word.is_empty()).nth(1);
        seen += 1;
        if seen > VIA_MAX || by.is_some_and(|by| by.eq_ignore_ascii_case(hop.name.as_bytes())) {
            return Err(Looped);
        }
    }
    if let Some(client) = &hop.client {
        tell_client(&mut kept, client);
    }
    kept.add("Via", format!("{} {}", hop.version, hop.name));
    Ok(kept)
}

/// The fields of a response as they are handed on. `version` is the one by which it came.
#[must_use]
pub fn response_fields(fields: &Fields, version: &str, name: &str) -> Fields {
    let mut kept = end_to_end(fields);
    kept.add("Via", format!("{version} {name}"));
    kept
}

/// The fields of an informational response as they are handed on: Via says nothing new there.
#[must_use]
pub fn end_to_end(fields: &Fields) -> Fields {
    let named: Vec<&[u8]> = fields.all("connection").flat_map(elements).collect();
    let mut kept = fields.clone();
    kept.retain(|name, _| {
        let hop_by_hop = HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known));
        !hop_by_hop && !named.iter().any(|option| name.as_bytes().eq_ignore_ascii_case(option))
    });
    kept
}

/// The protocol that a request asks for in place of HTTP (RFC 9110 §7.8), such as `websocket`. HTTP/2 is left
/// out: on the other side its own connections are there for that.
#[must_use]
pub fn upgrade_asked(fields: &Fields) -> Option<&str> {
    let asked =
        fields.all("connection").flat_map(elements).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    let protocol = fields.first("upgrade").filter(|_| asked)?;
    (!protocol.split(',').any(|one| one.trim().eq_ignore_ascii_case("h2c"))).then_some(protocol)
}

/// What Max-Forwards says about a request (RFC 9110 §7.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwards {
    /// Nothing.
    Unlimited,
    /// It may be handed on with this many left.
    Left(u64),
    /// The proxy itself is the one who is asked.
    Over,
}

/// Reads Max-Forwards, which counts for TRACE and OPTIONS alone; a value that is no number counts for nothing.
#[must_use]
pub fn forwards(method: Method, fields: &Fields) -> Forwards {
    if !matches!(method, Method::Trace | Method::Options) {
        return Forwards::Unlimited;
    }
    let digits = fields.first("max-forwards").filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<u64>().ok()) {
        None => Forwards::Unlimited,
        Some(left) => left.checked_sub(1).map_or(Forwards::Over, Forwards::Left),
    }
}

/// Says who asks: anew, or after what a trusted proxy said before.
fn tell_client(fields: &mut Fields, client: &Client<'_>) {
    let before = |name: &str| {
        let told: Vec<String> =
            fields.all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        Some(told.join(", ")).filter(|told| client.trusted && !told.is_empty())
    };
    let scheme = if client.secure { "https" } else { "http" };
    let address = client.address.to_canonical();
    let and = |before: Option<String>, now: String| match before {
        Some(before) => format!("{before}, {now}"),
        None => now,
    };
    let told = [
        ("Forwarded", and(before("forwarded"), forwarded(client))),
        ("X-Forwarded-For", and(before("x-forwarded-for"), address.to_string())),
        ("X-Forwarded-Proto", before("x-forwarded-proto").unwrap_or_else(|| scheme.to_owned())),
        ("X-Forwarded-Host", before("x-forwarded-host").unwrap_or_else(|| client.host.to_owned())),
        (
            "X-Forwarded-User",
            client
                .user
                .map_or_else(|| before("x-forwarded-user"), |user| Some(user.to_owned()))
                .unwrap_or_default(),
        ),
    ];
    // A password for this place is none of the server's business.
    let ours = |name: &str| client.user.is_some() && name.eq_ignore_ascii_case("authorization");
    fields
        .retain(|name, _| !ours(name) && !ABOUT_CLIENT.iter().any(|known| name.eq_ignore_ascii_case(known)));
    for (name, value) in told.into_iter().filter(|(_, value)| !value.is_empty()) {
        fields.add(name, value);
    }
}

/// One element of Forwarded (RFC 7239 §4).
fn forwarded(client: &Client<'_>) -> String {
    let address = match client.address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        // RFC 7239 §6: in brackets, and so in quotes.
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let scheme = if client.secure { "https" } else { "http" };
    if client.host.is_empty() {
        return format!("for={address};proto={scheme}");
    }
    let token = client.host.bytes().all(crate::wire::scan::is_token);
    let quote = if token { "" } else { "\"" };
    format!("for={address};host={quote}{}{quote};proto={scheme}", client.host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(lines: &str) -> Fields {
        let mut fields = Fields::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            fields.add(name, value.trim());
        }
        fields
    }

    fn told(fields: &Fields) -> Vec<String> {
        fields.texts().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    const CLIENT: Client<'_> = Client {
        address: IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
        secure: true,
        host: "www.example:8443",
        user: None,
        trusted: false,
    };

    #[track_caller]
    fn check(lines: &str, client: Option<Client<'_>>, expected: &[&str]) {
        let hop = Hop { name: "gate", version: "1.1", client };
        let kept = request_fields(&fields(lines), &hop).map(|fields| told(&fields));
        assert_eq!(kept, Ok(expected.iter().map(|line| (*line).to_owned()).collect()));
    }

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let lines = "Host: a\nAccept: */*\nConnection: close, X-Own\nX-Own: 1\nKeep-Alive: 5\nTE: trailers\n\
                     Proxy-Authorization: Basic x\nProxy-Connection: close\nTransfer-Encoding: chunked\n\
                     Content-Length: 3\nTrailer: X\nUpgrade: h2c\nHTTP2-Settings: x\nCookie: a=1";
        check(lines, None, &["Accept: */*", "Cookie: a=1", "Via: 1.1 gate"]);
        let response =
            "Connection: keep-alive, Warning\nWarning: 1\nETag: \"x\"\nKeep-Alive: timeout=5\nVia: 1.0 a";
        let kept = told(&response_fields(&fields(response), "2", "gate"));
        assert_eq!(kept, ["ETag: \"x\"", "Via: 1.0 a", "Via: 2 gate"]);
    }

    #[test]
    fn values_that_are_no_text_stay_as_they_are() {
        let mut fields = Fields::new();
        fields.add("X-Name", b"caf\xe9 \xff".as_slice());
        let kept = response_fields(&fields, "1.1", "gate");
        assert_eq!(kept.all("x-name").next(), Some(b"caf\xe9 \xff".as_slice()));
    }

    #[test]
    fn who_asks_is_told_anew_unless_a_trusted_proxy_says_more() {
        let lie = "Forwarded: for=10.0.0.1\nX-Forwarded-For: 10.0.0.1\nX-Real-IP: 10.0.0.1\nX-Forwarded-Proto: ftp\n\
                   X-Forwarded-Host: x\nX-Forwarded-Port: 1";
        let own = [
            "Forwarded: for=192.0.2.1;host=\"www.example:8443\";proto=https",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: www.example:8443",
            "Via: 1.1 gate",
        ];
        check(lie, Some(CLIENT), &own);
        let chain = [
            "Forwarded: for=10.0.0.1, for=192.0.2.1;host=\"www.example:8443\";proto=https",
            "X-Forwarded-For: 10.0.0.1, 192.0.2.1",
            "X-Forwarded-Proto: ftp",
            "X-Forwarded-Host: x",
            "Via: 1.1 gate",
        ];
        check(lie, Some(Client { trusted: true, ..CLIENT }), &chain);
        let v6 = Client { address: "2001:db8::1".parse().unwrap(), host: "a", secure: false, ..CLIENT };
        let told = [
            "Forwarded: for=\"[2001:db8::1]\";host=a;proto=http",
            "X-Forwarded-For: 2001:db8::1",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: a",
            "Via: 1.1 gate",
        ];
        check("", Some(v6), &told);
        let mapped = Client { address: "::ffff:192.0.2.1".parse().unwrap(), ..CLIENT };
        check("", Some(mapped), &own);
        check("Connection: Forwarded, X-Forwarded-For", Some(CLIENT), &own);
    }

    #[test]
    fn who_logged_in_here_is_told_without_the_password() {
        let lines = "Authorization: Basic x\nX-Forwarded-User: root";
        let last = |client| {
            let hop = Hop { name: "gate", version: "1.1", client: Some(client) };
            let kept = request_fields(&fields(lines), &hop).unwrap();
            ["authorization", "x-forwarded-user"].map(|name| kept.first(name).map(str::to_owned))
        };
        assert_eq!(last(CLIENT), [Some("Basic x".to_owned()), None]);
        assert_eq!(last(Client { user: Some("ann"), ..CLIENT }), [None, Some("ann".to_owned())]);
    }

    #[test]
    fn a_proxy_knows_itself_again() {
        let hop = Hop { name: "gate", version: "2", client: None };
        let looped = |lines| request_fields(&fields(lines), &hop).is_err();
        assert!(looped("Via: 1.0 fred, 1.1 Gate (x)"));
        assert!(looped("Via: 1.0 fred\nVia: HTTP/1.1 gate"));
        assert!(!looped("Via: 1.1 gateway, 1.1 gate.example (gate)"));
        assert!(looped(&format!("Via: 1.1 a{}", ", 1.1 a".repeat(32))));
    }

    #[test]
    fn only_some_requests_count_their_steps() {
        let check =
            |method, lines, expected| assert_eq!(forwards(method, &fields(lines)), expected, "{lines}");
        check(Method::Trace, "Max-Forwards: 0", Forwards::Over);
        check(Method::Options, "Max-Forwards: 3", Forwards::Left(2));
        check(Method::Options, "", Forwards::Unlimited);
        check(Method::Options, "Max-Forwards: -1", Forwards::Unlimited);
        check(Method::Options, "Max-Forwards: 99999999999999999999999", Forwards::Unlimited);
        check(Method::Get, "Max-Forwards: 0", Forwards::Unlimited);
    }

    #[test]
    fn another_protocol_is_asked_for_by_two_fields() {
        let check = |lines, expected| assert_eq!(upgrade_asked(&fields(lines)), expected, "{lines}");
        check("Connection: keep-alive, Upgrade\nUpgrade: websocket", Some("websocket"));
        check("Upgrade: websocket", None);
        check("Connection: upgrade", None);
        check("Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c", None);
    }

    proptest! {
        #[test]
        fn whatever_comes_only_fields_for_everybody_go_on_and_unchanged(
            lines in proptest::collection::vec((
                prop_oneof![
                    "[A-Za-z-]{1,12}",
                    proptest::sample::select(&HOP_BY_HOP[..]).prop_map(str::to_owned),
                    proptest::sample::select(&ABOUT_CLIENT[..]).prop_map(str::to_owned),
                    Just("Connection".to_owned()),
                ],
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..20),
                    "[a-z-]{1,12}(, ?[a-z-]{1,12}){0,3}".prop_map(String::into_bytes),
                ],
            ), 0..12),
            trusted: bool,
        ) {
            let mut fields = Fields::new();
            lines.iter().for_each(|(name, value)| fields.add(name.as_str(), value.as_slice()));
            let hop = Hop { name: "gate", version: "1.1", client: Some(Client { trusted, ..CLIENT }) };
            let Ok(kept) = request_fields(&fields, &hop) else { return Ok(()) };
            let named: Vec<Vec<u8>> = fields.all("connection").flat_map(elements).map(<[u8]>::to_vec).collect();
            let is = |name: &str, known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
            let goes = |name: &str| {
                !is(name, &HOP_BY_HOP) && !named.iter().any(|option| name.as_bytes().eq_ignore_ascii_case(option))
            };
            let plain = |name: &str| goes(name) && !is(name, &ABOUT_CLIENT);
            let before: Vec<_> = fields.iter().filter(|(name, _)| plain(name)).collect();
            let mut after: Vec<_> = kept.iter().filter(|(name, _)| !is(name, &ABOUT_CLIENT)).collect();
            prop_assert_eq!(after.pop(), Some(("Via", &b"1.1 gate"[..])));
            prop_assert_eq!(before, after);
            let own = if trusted { 4..=5 } else { 4..=4 };
            prop_assert!(own.contains(&kept.iter().filter(|(name, _)| is(name, &ABOUT_CLIENT)).count()));
        }
    }
}
