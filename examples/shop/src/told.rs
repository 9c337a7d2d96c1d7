//! `/cookies`: what the browser sent with this request, and what the session behind its cookie holds.

use doorway_http::Visit;
use doorway_http::cookie::pairs;
use doorway_http::security::escape_html;
use doorway_http::session::cookie_name;
use doorway_net::web::Request;
use doorway_store::SessionOptions;

use crate::basket::Basket;
use crate::goods::find;

/// Fields of a request that say something about who sent it.
const TELLING: &[&str] =
    &["User-Agent", "Accept-Language", "Referer", "Origin", "Sec-Fetch-Site", "DNT", "Sec-GPC"];

/// The text of the page.
pub(crate) fn page(
    request: &Request,
    visit: Option<&Visit>,
    basket: &Basket,
    options: &SessionOptions,
) -> String {
    let mut text = "<h1>What your browser sends</h1>\n\
        <p class=\"quiet\">With every request to this shop it sends its cookies. Here is each of them.</p>\n"
        .to_owned();
    text.push_str(&cookies(request, visit.is_some()));
    text.push_str("\n<h2>What the shop knows by it</h2>\n");
    text.push_str(&match visit {
        Some(visit) => session(visit, basket, options),
        None => "<p class=\"notice\">Nothing: there is no session yet. It begins when you look at something, with the \
                 Set-Cookie of that page.</p>"
            .to_owned(),
    });
    text.push_str("\n<h2>What else the request says about you</h2>\n");
    let fields = request
        .fields
        .texts()
        .filter(|(name, _)| TELLING.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let rows: String = fields.map(|(name, value)| row(name, &value, "")).collect();
    text.push_str(&table(["Field", "Value", ""], &rows));
    text
}

fn cookies(request: &Request, known: bool) -> String {
    let fields = request.fields.all("Cookie");
    let rows: String = fields
        .flat_map(pairs)
        .map(|(name, value)| {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            let meaning = match &*name {
                "__Host-sid" | "sid" if !known => "names a session that has ended, or never was",
                "__Host-sid" => {
                    "128 random bits that name your session. <code>__Host-</code>: for this host alone, over TLS alone. \
                     <code>HttpOnly</code>: no script reads it. <code>SameSite=Lax</code>: other sites' pages cannot send it \
                     along with what they post. It ends when the browser closes"
                }
                "sid" => {
                    "128 random bits that name your session. This connection is not encrypted: whoever sees them on \
                     the way is you. Over https the cookie is <code>__Host-sid</code>"
                }
                "__Host-login" | "login" => "belongs to the login page, for an hour: its form is taken only with it",
                _ => "not from this shop, or from another time",
            };
            // Shown in part: a picture of this page should not be a key.
            let shown = if name.ends_with("sid") && value.len() > 8 { format!("{}…", &value[..8]) } else { value.into_owned() };
            row(&name, &shown, meaning)
        })
        .collect();
    if rows.is_empty() {
        let name = cookie_name(request.secure);
        return format!("<p class=\"notice\">None. The first page of a good sets <code>{name}</code>.</p>");
    }
    table(["Cookie", "Value", "What it carries"], &rows)
}

fn session(visit: &Visit, basket: &Basket, options: &SessionOptions) -> String {
    let state = &visit.state;
    let name = |id: &u32| find(*id).map_or("?", |good| good.name);
    let cart: Vec<String> = basket.cart.iter().map(|(id, count)| format!("{count} × {}", name(id))).collect();
    let seen: Vec<&str> = basket.seen.iter().map(name).collect();
    let or_none = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    let rows = [
        row(
            "Name",
            &state.id.to_string(),
            "a hash of the cookie: the shop itself cannot make the cookie of it",
        ),
        row(
            "Login",
            state.user.as_deref().unwrap_or("nobody"),
            "who you are, once you have said so; the cookie is another one from then on",
        ),
        row("Cart", &or_none(cart.join(", ")), "what you put in"),
        row("Seen", &or_none(seen.join(", ")), "recommendations are made of this"),
        row("As kept", &String::from_utf8_lossy(&state.value), "the state as it is stored"),
        row("Since", &state.created.to_string(), "12 hours after this it ends, however much it is used"),
        row(
            "Ends",
            &state.ends(options).to_string(),
            "unless you come back before: 30 minutes after the last request",
        ),
        row(
            "Token",
            &visit.token(),
            "in every form of these pages, so that no other site can fill them in for you",
        ),
    ];
    table(["What", "Value", "Why"], &rows.concat())
}

fn table(heading: [&str; 3], rows: &str) -> String {
    let [one, two, three] = heading;
    format!(
        "<div class=\"wide\"><table class=\"told\"><tr><th>{one}</th><th>{two}</th><th>{three}</th></tr>\n{rows}</table></div>"
    )
}

/// A row; `meaning` is HTML of ours, the others are anybody's text.
fn row(name: &str, value: &str, meaning: &str) -> String {
    format!(
        "<tr><td>{}</td><td><code>{}</code></td><td>{meaning}</td></tr>\n",
        escape_html(name),
        escape_html(value)
    )
}
