//! How pages look: the frame round each, and the cards of goods.

use doorway_http::security::{escape_html, own_page};
use doorway_net::web::Response;

use crate::goods::{Good, price};

/// What every page says at its top.
pub(crate) struct Top<'a> {
    /// Things in the cart.
    pub(crate) count: u32,
    /// Who is logged in.
    pub(crate) user: Option<&'a str>,
}

/// A page with its frame.
pub(crate) fn page(status: u16, top: &Top<'_>, title: &str, text: &str) -> Response {
    let login = match top.user {
        Some(user) => escape_html(user),
        None => "Log in".to_owned(),
    };
    let (title, count) = (escape_html(title), top.count);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Corner Shop</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\"><link rel=\"icon\" href=\"data:,\">\n\
         <header><nav><a class=\"name\" href=\"/\">Corner Shop</a><a href=\"/cookies\">Cookies</a>\
         <a href=\"/login\">{login}</a><a href=\"/cart\">Cart <span class=\"count\">{count}</span></a></nav></header>\n\
         <main>\n{text}\n</main>\n\
         <footer><p>Nothing is sold here. <a href=\"/cookies\">See what your browser sends</a>, and what the shop knows.</p></footer>\n</html>\n"
    );
    own_page(Response::new(status, "text/html; charset=utf-8", html), false)
}

/// Goods side by side.
pub(crate) fn cards<'g>(goods: impl IntoIterator<Item = &'g Good>) -> String {
    let card = |good: &Good| {
        let (id, name, cost) = (good.id, good.name, price(good.cents));
        format!(
            "<li><a href=\"/good/{id}\">{}<span class=\"text\"><b>{name}</b> {cost}</span></a></li>\n",
            picture(good)
        )
    };
    format!("<ul class=\"goods\">\n{}</ul>", goods.into_iter().map(card).collect::<String>())
}

/// The picture of a good.
pub(crate) fn picture(good: &Good) -> String {
    let Good { hue, picture, .. } = good;
    format!(
        "<svg viewBox=\"0 0 120 90\" aria-hidden=\"true\"><rect width=\"120\" height=\"90\" fill=\"hsl({hue} 38% 58%)\"/>{picture}</svg>"
    )
}

/// A button that sends a form.
pub(crate) fn button(path: &str, token: &str, fields: &[(&str, &str)], class: &str, text: &str) -> String {
    let hidden = |(name, value): &(&str, &str)| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape_html(name), escape_html(value))
    };
    let fields: String = fields.iter().chain(&[("token", token)]).map(hidden).collect();
    format!(
        "<form method=\"post\" action=\"{path}\">{fields}<button class=\"{class}\">{}</button></form>",
        escape_html(text)
    )
}
