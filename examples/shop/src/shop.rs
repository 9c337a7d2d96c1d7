//! The pages, by path. A session begins with the first page of a good that is looked at; before that there is
//! nothing to remember, and no cookie is set.

use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_http::form::{FormLimits, Urlencoded};
use doorway_http::{Authenticator, Visit};
use doorway_net::web::{Bytes, Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, World};
use doorway_store::SessionOptions;

use crate::basket::Basket;
use crate::goods::{GOODS, find, price, recommend};
use crate::page::{Top, button, cards, page, picture};
use crate::told;

/// Longest form that is read, in octets.
const FORM_OCTETS_MAX: usize = 4096;
const STYLE: &str = include_str!("shop.css");

/// Answers for the whole shop but its login.
pub(crate) struct Shop {
    world: World,
    authenticator: Arc<Authenticator>,
    options: SessionOptions,
}

/// Somebody in the shop: their session, if they have one, and what it keeps.
struct Visitor {
    visit: Option<Visit>,
    basket: Basket,
}

impl Visitor {
    fn top(&self) -> Top<'_> {
        let user = self.visit.as_ref().and_then(|visit| visit.state.user.as_deref());
        Top { count: self.basket.count(), user }
    }

    fn token(&self) -> String {
        self.visit.as_ref().map(Visit::token).unwrap_or_default()
    }
}

impl Shop {
    /// A shop whose visitors' sessions are those of `authenticator`.
    pub(crate) fn new(world: &World, authenticator: Arc<Authenticator>, options: SessionOptions) -> Self {
        Self { world: world.clone(), authenticator, options }
    }

    async fn answer(&self, mut request: Request) -> Response {
        let wall = self.world.wall();
        let visit = Visit::find(&self.authenticator, &request, wall);
        let basket = visit.as_ref().map(|visit| Basket::read(&visit.state.value)).unwrap_or_default();
        let visitor = Visitor { visit, basket };
        let path = request.path.clone();
        match (request.method.as_str(), path.as_str()) {
            ("GET" | "HEAD", "/") => home(&visitor),
            ("GET" | "HEAD", "/cart") => cart(&visitor),
            ("GET" | "HEAD", "/cookies") => {
                let told = told::page(&request, visitor.visit.as_ref(), &visitor.basket, &self.options);
                page(200, &visitor.top(), "What your browser sends", &told)
            }
            ("GET" | "HEAD", "/style.css") => {
                Response::new(200, "text/css; charset=utf-8", STYLE).with("Cache-Control", "max-age=3600")
            }
            ("GET" | "HEAD", path) => match path.strip_prefix("/good/").and_then(|id| id.parse().ok()) {
                Some(id) => self.good(visitor, id, request.secure, wall).await,
                None => missing(&visitor),
            },
            ("POST", "/cart" | "/cart/remove" | "/cart/order") => {
                let body = std::mem::take(&mut request.body).read(FORM_OCTETS_MAX).await.unwrap_or_default();
                let fields = Urlencoded::parse(&body, FormLimits::default()).unwrap_or_default();
                let token = field(&fields, "token");
                if !visitor.visit.as_ref().is_some_and(|visit| visit.sent(&request, token)) {
                    return refused(&visitor);
                }
                let id = field(&fields, "id").and_then(|id| id.parse().ok()).unwrap_or_default();
                self.change(visitor, &path, id, wall).await
            }
            _ => missing(&visitor),
        }
    }

    /// The page of one good, which is remembered as seen.
    async fn good(&self, mut visitor: Visitor, id: u32, tls: bool, wall: UnixTime) -> Response {
        let Some(good) = find(id) else { return missing(&visitor) };
        let mut cookie = None;
        let kept = match &mut visitor.visit {
            Some(visit) => {
                visit.change(&self.authenticator, wall, |value| with(value, |basket| basket.saw(id))).await
            }
            None => {
                let value = with(&Bytes::new(), |basket| basket.saw(id));
                match Visit::begin(&self.authenticator, tls, value, wall).await {
                    Ok((visit, set)) => {
                        visitor.visit = Some(visit);
                        cookie = Some(set);
                        Ok(true)
                    }
                    Err(error) => Err(error),
                }
            }
        };
        if kept.is_err() {
            return busy(&visitor);
        }
        visitor.basket.saw(id);
        let id_text = id.to_string();
        let text = format!(
            "<div class=\"one\">{}<div><h1>{}</h1><p class=\"quiet\">{}</p><p class=\"price\">{}</p>{}</div></div>\n{}",
            picture(good),
            good.name,
            good.about,
            price(good.cents),
            button("/cart", &visitor.token(), &[("id", &id_text)], "", "Put into the cart"),
            goes_with(&visitor.basket),
        );
        let response = page(200, &visitor.top(), good.name, &text);
        match cookie {
            Some(cookie) => response.with("Set-Cookie", &cookie),
            None => response,
        }
    }

    /// Changes the cart, as our own page has asked.
    async fn change(&self, mut visitor: Visitor, path: &str, id: u32, wall: UnixTime) -> Response {
        let Some(visit) = &mut visitor.visit else { return refused(&visitor) };
        let user = visit.state.user.clone();
        if path == "/cart/order" && user.is_none() {
            return Response { status: 303, ..Response::default() }.with("Location", "/login?to=/cart");
        }
        let change = |basket: &mut Basket| match path {
            "/cart" => basket.put(id, 1),
            "/cart/remove" => basket.take_out(id),
            _ => basket.cart.clear(),
        };
        match visit.change(&self.authenticator, wall, |value| with(value, change)).await {
            Ok(_) if path == "/cart/order" => {
                let cost = price(visitor.basket.cents());
                visitor.basket.cart.clear();
                let user = doorway_http::security::escape_html(&user.unwrap_or_default());
                let text = format!(
                    "<h1>Thank you, {user}</h1><p class=\"quiet\">This would have been {cost}. Nothing was sold.</p>\
                     <p><a class=\"button\" href=\"/\">Look around</a></p>"
                );
                page(200, &visitor.top(), "Thank you", &text)
            }
            Ok(_) => Response { status: 303, ..Response::default() }.with("Location", "/cart"),
            Err(_) => busy(&visitor),
        }
    }
}

impl Handler for Shop {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Whole { octets_max: FORM_OCTETS_MAX }
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The value of a session after a change of what is in it.
fn with(value: &Bytes, change: impl FnOnce(&mut Basket)) -> Bytes {
    let mut basket = Basket::read(value);
    change(&mut basket);
    basket.write().into()
}

fn home(visitor: &Visitor) -> Response {
    let text = format!(
        "<h1>Things for a long evening</h1><p class=\"quiet\">Look at something, and the shop remembers it.</p>\n{}\n{}",
        cards(GOODS),
        goes_with(&visitor.basket)
    );
    page(200, &visitor.top(), "Welcome", &text)
}

fn goes_with(basket: &Basket) -> String {
    let goods = recommend(&basket.seen, 4);
    if goods.is_empty() {
        return String::new();
    }
    format!("<h2>Because of what you looked at</h2>\n{}", cards(goods))
}

fn cart(visitor: &Visitor) -> Response {
    let basket = &visitor.basket;
    if basket.cart.is_empty() {
        let text =
            format!("<h1>Your cart is empty</h1><p class=\"quiet\">So far.</p>\n{}", goes_with(basket));
        return page(200, &visitor.top(), "Cart", &text);
    }
    let token = visitor.token();
    let row = |(id, count): &(u32, u32)| {
        let good = find(*id)?;
        let remove = button("/cart/remove", &token, &[("id", &id.to_string())], "plain", "Take out");
        let (name, cost) = (good.name, price(good.cents * count));
        Some(format!(
            "<tr><td><a href=\"/good/{id}\">{name}</a></td><td class=\"number\">{count}</td>\
             <td class=\"number\">{cost}</td><td>{remove}</td></tr>\n"
        ))
    };
    let rows: String = basket.cart.iter().filter_map(row).collect();
    let text = format!(
        "<h1>Your cart</h1>\n<div class=\"wide\"><table><tr><th>What</th><th>How many</th><th>Price</th><th></th></tr>\n{rows}\
         <tr><th>Together</th><td></td><td class=\"number\"><b>{}</b></td><td></td></tr></table></div>\n<p></p>{}\n{}",
        price(basket.cents()),
        button("/cart/order", &token, &[], "", "Order"),
        goes_with(basket)
    );
    page(200, &visitor.top(), "Cart", &text)
}

fn refused(visitor: &Visitor) -> Response {
    let text =
        "<h1>That did not work</h1><p class=\"quiet\">Your session has ended, or another site sent this.</p>";
    page(403, &visitor.top(), "Not done", text)
}

fn missing(visitor: &Visitor) -> Response {
    let text = "<h1>There is nothing here</h1><p><a class=\"button\" href=\"/\">To the shop</a></p>";
    page(404, &visitor.top(), "Not found", text)
}

fn busy(visitor: &Visitor) -> Response {
    let text = "<h1>The shop is full</h1><p class=\"quiet\">Please try again in a moment.</p>";
    page(503, &visitor.top(), "Later, please", text).with("Retry-After", "5")
}
