//! What the tables of the web server cannot say together, found before anything is opened.

use doorway_base::config::{Cidr, Values, Wrong};

use crate::auth::Demand;
use crate::own_fields::Line;
use crate::pattern::Pattern;
use crate::proxy::ServerAddress;
use crate::url::Url;

/// Fewest octets on disk with which a cache makes sense: a few segments.
const DISK_OCTETS_MIN: u64 = 256 * 1024 * 1024;

/// All that is wrong in `[http]`, in the order of the file. `mounts` are the names that a route can mount.
#[must_use]
pub fn wrongs(http: &Values, mounts: &[&str]) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut has_others = false;
    let named = |key: &str| -> Vec<&str> {
        let complete = http.tables(key).iter().filter(|table| table.is_complete());
        complete.map(|table| table.text("name")).collect()
    };
    let (upstreams, caches) = (named("upstream"), named("cache"));
    for site in http.tables("site") {
        let hosts = site.texts("hosts");
        for host in &hosts {
            if names.contains(host) {
                wrong(
                    &mut wrongs,
                    site,
                    "hosts",
                    format!("two sites have the name `{host}`"),
                    "give it to one of them",
                );
            }
        }
        if hosts.is_empty() && has_others {
            let what = "two sites have no names";
            wrong(&mut wrongs, site, "hosts", what, "write the names of one of them in `hosts`");
        }
        if hosts.is_empty() && http.value("root").is_some() {
            let what = "`http.root` and a site without names are both for every other name";
            wrong(
                &mut wrongs,
                http,
                "root",
                what,
                "write the names of the site in `hosts`, or leave one of them out",
            );
        }
        has_others |= hosts.is_empty();
        names.extend(hosts);
        check_site(site, mounts, (&upstreams, &caches), &mut wrongs);
    }
    each_cache(http, &mut wrongs);
    let upstreams = http.tables("upstream");
    for (place, upstream) in upstreams.iter().enumerate().filter(|(_, upstream)| upstream.is_complete()) {
        let name = upstream.text("name");
        if upstreams[..place].iter().any(|other| other.is_complete() && other.text("name") == name) {
            let what = format!("two upstreams have the name `{name}`");
            wrong(&mut wrongs, upstream, "name", what, "give one of them another name");
        }
        if ServerAddress::is_meant(name) {
            let what = format!("`{name}` is an address and no name");
            wrong(&mut wrongs, upstream, "name", what, "write a word, and the address in `servers`");
        }
        servers(upstream, "servers", &mut wrongs);
        if upstream.optional("health_path", Values::text).is_some_and(|path| !path.starts_with('/')) {
            let what = "a check asks for a path of the server";
            wrong(&mut wrongs, upstream, "health_path", what, "begin it with a slash");
        }
    }
    wrongs.sort_by_key(|wrong| wrong.at().start);
    wrongs
}

/// Checks the caches.
fn each_cache(http: &Values, wrongs: &mut Vec<Wrong>) {
    let caches = http.tables("cache");
    for (place, cache) in caches.iter().enumerate().filter(|(_, cache)| cache.is_complete()) {
        let name = cache.text("name");
        if caches[..place].iter().any(|other| other.is_complete() && other.text("name") == name) {
            let what = format!("two caches have the name `{name}`");
            wrong(wrongs, cache, "name", what, "give one of them another name");
        }
        // It is also the name of a folder.
        let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        if name.is_empty() || !name.bytes().all(is_word) {
            let fix = "use letters, digits, `-` and `_`";
            wrong(wrongs, cache, "name", format!("`{name}` is no name for a cache"), fix);
        }
        if (1..DISK_OCTETS_MIN).contains(&cache.size("disk_octets_max")) {
            let what =
                "a cache on disk needs at least 256MiB, so that old contents can make room for new ones";
            wrong(wrongs, cache, "disk_octets_max", what, "give it more, or 0 for none");
        }
    }
}

/// Checks a list of addresses of servers.
fn servers(values: &Values, key: &str, wrongs: &mut Vec<Wrong>) {
    let written = values.texts(key);
    if written.is_empty() {
        wrong(
            wrongs,
            values,
            key,
            "there is no server to ask",
            "write one, such as \"http://10.0.0.5:8080\"",
        );
    }
    for server in written {
        if let Err(fix) = server.parse::<ServerAddress>() {
            wrong(wrongs, values, key, format!("`{server}` is no server"), fix);
        }
    }
}

/// All that is wrong in `[http.forward]`. `caches` are the names of those that it can have.
#[must_use]
pub fn forward_wrongs(forward: &Values, caches: &[&str]) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    users(forward, &mut wrongs);
    let everybody = |cidr: &Cidr| cidr.prefix_bits() == 0;
    let open = forward.cidrs("allow").iter().any(everybody);
    if open && forward.value("auth").is_some() && forward.texts("auth").is_empty() {
        let what = "the whole internet could use this proxy";
        let fix = "write the networks of your clients in `allow`, or users in `auth`";
        wrong(&mut wrongs, forward, "allow", what, fix);
    }
    if let Some(name) = forward.optional("cache", Values::text)
        && !caches.contains(&name)
    {
        let what = format!("there is no cache called `{name}`");
        wrong(&mut wrongs, forward, "cache", what, "add [[http.cache]] with that name");
    }
    if forward.at("profiles").is_some() && forward.value("cache").is_none() {
        let what = "what is known of packages is of use to a cache alone";
        wrong(&mut wrongs, forward, "profiles", what, "add `cache = \"…\"`");
    }
    for parent in forward.tables("parent").iter().filter(|parent| parent.is_complete()) {
        let address = parent.text("address");
        let url = Url::parse(address).ok().filter(|url| {
            matches!(url.scheme.as_str(), "http" | "https") && url.path == "/" && url.user.is_none()
        });
        if url.is_none() {
            let what = format!("`{address}` is no proxy");
            wrong(
                &mut wrongs,
                parent,
                "address",
                what,
                "write \"http://host:port\"; a login stands in `user`",
            );
        }
        for (key, other) in [("user", "password"), ("password", "user")] {
            if parent.value(key).is_some() && parent.value(other).is_none() {
                let what = format!("`{key}` needs `{other}`");
                wrong(&mut wrongs, parent, key, what, format!("add `{other} = …`"));
            }
        }
    }
    wrongs.sort_by_key(|wrong| wrong.at().start);
    wrongs
}

/// Checks whom a route hands requests on to.
fn proxy(route: &Values, (upstreams, caches): (&[&str], &[&str]), wrongs: &mut Vec<Wrong>) {
    let Some(to) = route.optional("proxy", Values::texts) else {
        for key in ["cache", "buffering"].into_iter().filter(|key| route.at(key).is_some()) {
            wrong(
                wrongs,
                route,
                key,
                format!("`{key}` is about what `proxy` brings"),
                "add `proxy = [\"…\"]`",
            );
        }
        return;
    };
    if let Some(name) = route.optional("cache", Values::text)
        && !caches.contains(&name)
    {
        let fix = match caches {
            [] => format!("add [[http.cache]] with `name = \"{name}\"`"),
            known => format!("there is {}", known.join(", ")),
        };
        wrong(wrongs, route, "cache", format!("there is no cache called `{name}`"), fix);
    }
    match to.as_slice() {
        [name] if !ServerAddress::is_meant(name) => {
            if !upstreams.contains(name) {
                let fix = match upstreams {
                    [] => "write an address such as \"http://10.0.0.5:8080\", or add [[http.upstream]]"
                        .to_owned(),
                    known => format!("there is {}; an address begins with http://", known.join(", ")),
                };
                wrong(wrongs, route, "proxy", format!("there is no upstream called `{name}`"), fix);
            }
        }
        _ => servers(route, "proxy", wrongs),
    }
}

fn check_site(site: &Values, mounts: &[&str], others: (&[&str], &[&str]), wrongs: &mut Vec<Wrong>) {
    if site.bool("write") && site.texts("auth").is_empty() {
        let what = "everybody could store files here";
        wrong(wrongs, site, "write", what, "add `auth = [\"name\"]` to say whose files are taken");
    }
    if site.bool("write") && site.value("root").is_none() {
        wrong(wrongs, site, "write", "there is no folder to store files in", "add `root = \"…\"`");
    }
    users(site, wrongs);
    ways(site, wrongs);
    for (key, other) in [("certificate", "certificate_key"), ("certificate_key", "certificate")] {
        if site.value(key).is_some() && site.value(other).is_none() {
            wrong(wrongs, site, key, format!("`{key}` needs `{other}`"), format!("add `{other} = \"…\"`"));
        }
    }
    if site.texts("login").is_empty() && !site.texts("auth").is_empty() {
        let what = "nobody could log in";
        wrong(wrongs, site, "login", what, "write \"basic\", \"bearer\" or \"form\"");
    }
    if site.value("certificate").is_some() && site.texts("hosts").is_empty() {
        let what = "a certificate is chosen by name, and this site has none";
        wrong(wrongs, site, "certificate", what, "write the names in `hosts`, or use [[tls.certificate]]");
    }
    fields(site, wrongs);
    for rule in site.tables("cache").iter().filter(|rule| rule.is_complete()) {
        pattern(rule, wrongs);
    }
    for page in site.tables("error").iter().filter(|page| page.is_complete()) {
        if !page.text("file").starts_with('/') {
            wrong(wrongs, page, "file", "a page is named by its path in the folder", "begin it with a slash");
        }
        if site.value("root").is_none() {
            wrong(
                wrongs,
                page,
                "file",
                "there is no folder with this page",
                "add `root = \"…\"` to the site",
            );
        }
    }
    for name in site.texts("index").iter().filter(|name| name.is_empty() || name.contains('/')) {
        wrong(wrongs, site, "index", format!("`{name}` is not the name of a file"), "write the name alone");
    }
    for route in site.tables("route").iter().filter(|route| route.is_complete()) {
        check_route(route, mounts, wrongs);
        proxy(route, others, wrongs);
    }
}

fn check_route(route: &Values, mounts: &[&str], wrongs: &mut Vec<Wrong>) {
    pattern(route, wrongs);
    fields(route, wrongs);
    users(route, wrongs);
    ways(route, wrongs);
    let does = ["root", "redirect", "respond", "mount", "proxy"];
    let written: Vec<&str> = does.into_iter().filter(|key| route.value(key).is_some()).collect();
    if let [first, second, ..] = written.as_slice() {
        let what = format!("a route is answered in one way, not by `{first}` and by `{second}`");
        wrong(wrongs, route, second, what, "keep one of them");
    }
    let status = route.optional("status", Values::integer);
    if let Some(to) = route.optional("redirect", Values::text) {
        if status.is_some_and(|status| ![301, 302, 303, 307, 308].contains(&status)) {
            wrong(
                wrongs,
                route,
                "status",
                "a redirect has another status",
                "write 301, 302, 303, 307 or 308",
            );
        }
        let local = to.starts_with('/') && !to.starts_with("//");
        let elsewhere = to.starts_with("http://") || to.starts_with("https://");
        if !(local || elsewhere) || to.bytes().any(|octet| octet.is_ascii_control() || octet == b' ') {
            let fix = "write a path such as \"/new/*\", or a URL such as \"https://example.org/*\"";
            wrong(wrongs, route, "redirect", format!("`{to}` is no place to go to"), fix);
        }
    } else if status.is_some() && ["root", "mount", "proxy"].iter().any(|key| route.value(key).is_some()) {
        wrong(wrongs, route, "status", "the status of this route is not the config's to set", "leave it out");
    }
    if let Some(name) = route.optional("mount", Values::text)
        && !mounts.contains(&name)
    {
        let fix = match mounts {
            [] => "there is none to mount".to_owned(),
            known => format!("there is {}", known.join(", ")),
        };
        wrong(wrongs, route, "mount", format!("Doorway has no part called `{name}`"), fix);
    }
    let origins = route.texts("cors_origins");
    if route.bool("cors_credentials") && origins.contains(&"*") {
        let what = "every page of the web could act as the user who looks at it";
        wrong(wrongs, route, "cors_credentials", what, "name the origins instead of \"*\"");
    }
    for origin in origins.iter().filter(|origin| **origin != "*") {
        let host = origin.split_once("://").map(|(_, host)| host).unwrap_or_default();
        if host.is_empty() || host.contains('/') {
            let fix = "write scheme and host alone, such as \"https://app.example.org\"";
            wrong(wrongs, route, "cors_origins", format!("`{origin}` is no origin"), fix);
        }
    }
}

fn pattern(values: &Values, wrongs: &mut Vec<Wrong>) {
    let path = values.text("path");
    if Pattern::parse(path).is_none() {
        let fix = "begin it with a slash, and write % as %25";
        wrong(wrongs, values, "path", format!("`{path}` is no path of a site"), fix);
    }
}

fn users(values: &Values, wrongs: &mut Vec<Wrong>) {
    for who in values.optional("auth", Values::texts).unwrap_or_default() {
        if let Err(told) = Demand::read("", &[who], &[]) {
            let fix = "write names as `doorway user list` shows them, roles with an @ before them, or \"*\"";
            wrong(wrongs, values, "auth", told.to_string(), fix);
        }
    }
}

fn ways(values: &Values, wrongs: &mut Vec<Wrong>) {
    for way in values.optional("login", Values::texts).unwrap_or_default() {
        if let Err(told) = Demand::read("", &[], &[way]) {
            wrong(wrongs, values, "login", told.to_string(), "write \"basic\", \"bearer\" or \"form\"");
        }
    }
}

fn fields(values: &Values, wrongs: &mut Vec<Wrong>) {
    for line in values.texts("fields") {
        if let Err(fix) = Line::read(line) {
            wrong(wrongs, values, "fields", format!("`{line}` is no field"), fix);
        }
    }
}

fn wrong(
    wrongs: &mut Vec<Wrong>,
    values: &Values,
    key: &str,
    what: impl Into<String>,
    fix: impl Into<String>,
) {
    wrongs.push(Wrong::value(values.at(key).unwrap_or_default(), what, fix));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use doorway_base::config::{Entry, Item, Written};

    use super::*;

    fn text(text: &str) -> Written {
        Written::Text(text.to_owned())
    }

    fn texts<const COUNT: usize>(items: [&str; COUNT]) -> Written {
        Written::List(items.iter().map(|item| Item { at: 0..0, written: text(item) }).collect())
    }

    fn table<const COUNT: usize>(entries: [(&str, Written); COUNT]) -> Written {
        let entry = |(name, written): (&str, Written)| Entry {
            name: name.to_owned(),
            at: 0..0,
            item: Item { at: 7..9, written },
        };
        Written::Table(entries.into_iter().map(entry).collect())
    }

    fn tables<const COUNT: usize>(items: [Written; COUNT]) -> Written {
        Written::List(items.into_iter().map(|written| Item { at: 0..0, written }).collect())
    }

    /// Checks that `[http]` with these keys is wrong in one way, which is told with these words.
    #[track_caller]
    fn check<const COUNT: usize>(http: [(&str, Written); COUNT], expected: &[&str]) {
        let Written::Table(entries) = table(http) else { unreachable!() };
        let mut read = Vec::new();
        let values = crate::config::SECTION.read(&entries, Path::new(""), &mut read);
        assert!(read.is_empty(), "{read:?}");
        let told: Vec<_> = wrongs(&values, &["console"])
            .into_iter()
            .map(|wrong| match wrong {
                Wrong::Value { what, fix, .. } => format!("{what}; {fix}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told} lacks {expected}");
        }
    }

    #[test]
    fn a_forward_proxy_is_not_for_everybody() {
        let told = |keys: Vec<(&str, Written)>| {
            let entry = |(name, written): (&str, Written)| Entry {
                name: name.to_owned(),
                at: 0..0,
                item: Item { at: 7..9, written },
            };
            let entries: Vec<Entry> = keys.into_iter().map(entry).collect();
            let mut read = Vec::new();
            let values = crate::config::forward::SECTION.read(&entries, Path::new(""), &mut read);
            assert!(read.is_empty(), "{read:?}");
            format!("{:?}", forward_wrongs(&values, &["web"]))
        };
        let allow = || ("allow", texts(["0.0.0.0/0"]));
        assert_eq!(told(vec![allow(), ("cache", text("web"))]), "[]", "users have to log in");
        let nobody = ("auth", Written::List(Vec::new()));
        assert!(told(vec![allow(), nobody]).contains("the whole internet"));
        assert!(told(vec![("cache", text("wep"))]).contains("no cache called `wep`"));
        assert!(told(vec![("profiles", texts(["apt"]))]).contains("of use to a cache"));
        let parent = |keys: [(&'static str, Written); 2]| ("parent", tables([table(keys)]));
        let at = |address: &str| ("address", text(address));
        let all = || ("domains", texts(["*"]));
        assert_eq!(told(vec![parent([at("http://a:3128"), all()])]), "[]");
        assert!(told(vec![parent([at("a:3128"), all()])]).contains("is no proxy"));
        assert!(told(vec![parent([at("http://a"), ("user", text("u"))])]).contains("needs `password`"));
    }

    fn site<const COUNT: usize>(keys: [(&str, Written); COUNT]) -> [(&'static str, Written); 1] {
        [("site", tables([table(keys)]))]
    }

    fn route<const COUNT: usize>(keys: [(&str, Written); COUNT]) -> [(&'static str, Written); 1] {
        site([("route", tables([table(keys)]))])
    }

    #[test]
    fn what_can_be_is_let_be() {
        check([], &[]);
        let redirect =
            table([("path", text("/old")), ("redirect", text("/new/*")), ("status", Written::Integer(301))]);
        let mount =
            table([("path", text("/console")), ("mount", text("console")), ("auth", texts(["@admin"]))]);
        let write = [
            ("hosts", texts(["a.example", "*.a.example"])),
            ("root", text("www")),
            ("write", Written::Bool(true)),
            ("auth", texts(["ann"])),
            ("route", tables([redirect, mount])),
        ];
        check(site(write), &[]);
    }

    #[test]
    fn nobody_stores_files_unknown_or_nowhere() {
        let write = || ("write", Written::Bool(true));
        check(site([("root", text("www")), write()]), &["everybody could store files"]);
        check(site([("auth", texts(["ann"])), write()]), &["no folder to store files in"]);
    }

    #[test]
    fn a_name_belongs_to_one_site() {
        let named = |name| table([("hosts", texts([name]))]);
        check(
            [("site", tables([named("a.example"), named("A.example")]))],
            &["two sites have the name `a.example`"],
        );
        check([("site", tables([table([]), table([])]))], &["two sites have no names"]);
        check([("root", text("www")), ("site", tables([table([])]))], &["both for every other name"]);
    }

    #[test]
    fn a_route_is_answered_in_one_way_that_there_is() {
        let path = || ("path", text("/a"));
        check(route([("path", text("a"))]), &["`a` is no path"]);
        check(
            route([path(), ("root", text("b")), ("redirect", text("/c"))]),
            &["not by `root` and by `redirect`"],
        );
        check(route([path(), ("mount", text("consol"))]), &["there is console"]);
        check(route([path(), ("redirect", text("//evil"))]), &["no place to go to"]);
        check(
            route([path(), ("redirect", text("/b")), ("status", Written::Integer(200))]),
            &["write 301, 302"],
        );
        check(route([path(), ("fields", texts(["Content-Length: 3"]))]), &["is for the server to set"]);
        let credentials = ("cors_credentials", Written::Bool(true));
        check(route([path(), ("cors_origins", texts(["*"])), credentials]), &["act as the user"]);
        check(route([path(), ("cors_origins", texts(["https://a.example/x"]))]), &["is no origin"]);
    }

    #[test]
    fn requests_are_handed_on_to_servers_that_can_be() {
        let path = || ("path", text("/a"));
        let upstream = |name: &str, server: &str| table([("name", text(name)), ("servers", texts([server]))]);
        let to = |to: &str| table([("route", tables([table([path(), ("proxy", texts([to]))])]))]);
        check([("site", tables([to("http://10.0.0.5:8080 weight=3")]))], &[]);
        check([("site", tables([to("app")])), ("upstream", tables([upstream("app", "unix:/run/app")]))], &[]);
        check([("site", tables([to("app")]))], &["or add [[http.upstream]]"]);
        let cached = [path(), ("proxy", texts(["http://a"])), ("cache", text("web"))];
        check(route(cached), &["no cache called `web`"]);
        check(
            [("site", tables([to("ap")])), ("upstream", tables([upstream("app", "http://a")]))],
            &["there is app"],
        );
        check([("site", tables([to("http://a/b")]))], &["has no path"]);
        check([("upstream", tables([upstream("app", "a:80")]))], &["write \"http://host:port\""]);
        let twice = tables([upstream("app", "http://a"), upstream("app", "http://b")]);
        check([("upstream", twice)], &["two upstreams have the name `app`"]);
        check([("upstream", tables([upstream("http://a", "http://a")]))], &["is an address and no name"]);
        let cached = || table([path(), ("proxy", texts(["http://a"])), ("cache", text("web"))]);
        check(
            [("site", tables([table([("route", tables([cached()]))])]))],
            &["add [[http.cache]] with `name"],
        );
        let cache = |name: &str| table([("name", text(name))]);
        let sites = || ("site", tables([table([("route", tables([cached()]))])]));
        check([sites(), ("cache", tables([cache("web")]))], &[]);
        check([sites(), ("cache", tables([cache("we")]))], &["there is we"]);
        let both = route([path(), ("proxy", texts(["http://a"])), ("root", text("b"))]);
        check(both, &["not by `root` and by `proxy`"]);
    }

    #[test]
    fn caches_have_names_of_their_own_and_room() {
        let cache = |name: &str, disk: i64| {
            table([("name", text(name)), ("disk_octets_max", Written::Integer(disk))])
        };
        check([("cache", tables([cache("a", 0), cache("b_2", 1 << 30)]))], &[]);
        check([("cache", tables([cache("a", 0), cache("a", 0)]))], &["two caches have the name `a`"]);
        check([("cache", tables([cache("../a", 0)]))], &["no name for a cache"]);
        check([("cache", tables([cache("a", 1 << 20)]))], &["at least 256MiB"]);
    }

    #[test]
    fn a_certificate_needs_its_key_and_a_name() {
        let hosts = || ("hosts", texts(["a.example"]));
        let (chain, key) = (("certificate", text("a.pem")), ("certificate_key", text("a.key")));
        check(site([hosts(), chain.clone()]), &["add `certificate_key"]);
        check(site([hosts(), key.clone()]), &["add `certificate ="]);
        check(site([chain, key]), &["chosen by name"]);
    }
}
