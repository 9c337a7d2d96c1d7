//! SCRAM-SHA-256, its messages at both ends (RFC 5802 §5 and §7, RFC 7677). The keys are the store's.
//!
//! Channel binding is not offered: a client that could do it (`y`) and one that cannot (`n`) are served
//! alike, one that insists (`p=`) is refused.

use doorway_base::Malformed;
use doorway_store::{ScramKeys, ScramVerifier, scram_proof};

use super::base64;

/// Most iterations that a server may make us pay, some seconds of a computer.
pub const ITERATIONS_MAX: u32 = 5_000_000;
/// Longest user name or nonce, in octets.
const VALUE_OCTETS_MAX: usize = 512;

/// The client's end.
#[derive(Debug)]
pub struct Client {
    password: String,
    nonce: String,
    /// `client-first-message-bare`.
    bare: String,
    state: ClientState,
}

#[derive(Debug)]
enum ClientState {
    First,
    /// The signature that the server has to send.
    Final([u8; 32]),
    Satisfied,
}

/// What goes in front: no channel binding, nobody else to act for.
const GS2_HEADER: &str = "n,,";

impl Client {
    pub(super) fn new(name: &str, password: &str, nonce: &str) -> Self {
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        Self { password: password.to_owned(), nonce: nonce.to_owned(), bare, state: ClientState::First }
    }

    pub(super) fn first(&self) -> Vec<u8> {
        [GS2_HEADER.as_bytes(), self.bare.as_bytes()].concat()
    }

    pub(super) fn respond(&mut self, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let message = text(message)?;
        match &self.state {
            ClientState::First => {
                let (response, signature) = self.prove(message)?;
                self.state = ClientState::Final(signature);
                Ok(response)
            }
            ClientState::Final(signature) => {
                let given = value(message.split(',').next(), "v=")?;
                if base64::decode(given)? != signature {
                    return Err(Malformed::new("the signature of a server that knows the password", 2));
                }
                self.state = ClientState::Satisfied;
                Ok(Vec::new())
            }
            ClientState::Satisfied => Err(Malformed::new("no further challenge", 0)),
        }
    }

    fn prove(&self, message: &str) -> Result<(Vec<u8>, [u8; 32]), Malformed> {
        let mut fields = message.split(',');
        let nonce = value(fields.next(), "r=")?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(Malformed::new("our nonce with the server's behind it", 2));
        }
        let salt = base64::decode(value(fields.next(), "s=")?)?;
        let iterations = value(fields.next(), "i=")?.parse().ok();
        let iterations = iterations.filter(|count| (1..=ITERATIONS_MAX).contains(count));
        let iterations = iterations.ok_or(Malformed::new("a bearable number of iterations", 0))?;
        let keys = ScramKeys::derive(&self.password, &salt, iterations);
        let without_proof = format!("c={},r={nonce}", base64::encode(GS2_HEADER.as_bytes()));
        let all = format!("{},{message},{without_proof}", self.bare);
        let (proof, signature) = scram_proof(&keys, all.as_bytes());
        Ok((format!("{without_proof},p={}", base64::encode(&proof)).into_bytes(), signature))
    }

    pub(super) const fn is_satisfied(&self) -> bool {
        matches!(self.state, ClientState::Satisfied)
    }
}

/// The server's end: what the client's first message said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Who logs in.
    pub name: String,
    /// For whom they want to act, when they say so.
    pub authorization: Option<String>,
    gs2_header: String,
    nonce: String,
    bare: String,
}

impl Opening {
    /// Reads the client's first message.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or asks for channel binding or an extension.
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let binding = parts.next().unwrap_or_default();
        if !matches!(binding, "n" | "y") {
            return Err(Malformed::new("`n` or `y`: there is no channel binding", 0));
        }
        let authorization = match parts.next().ok_or(Malformed::new("a comma", binding.len()))? {
            "" => None,
            acts_for => Some(name(value(Some(acts_for), "a=")?)?),
        };
        let bare = parts.next().ok_or(Malformed::new("the name behind the second comma", message.len()))?;
        let mut fields = bare.split(',');
        let user = name(value(fields.next(), "n=")?)?;
        let nonce = value(fields.next(), "r=")?;
        if nonce.is_empty()
            || nonce.len() > VALUE_OCTETS_MAX
            || !nonce.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return Err(Malformed::new("a printable nonce", 0));
        }
        let gs2_header = message[..message.len() - bare.len()].to_owned();
        Ok(Self { name: user, authorization, gs2_header, nonce: nonce.to_owned(), bare: bare.to_owned() })
    }

    /// The challenge, with our part of the nonce (printable ASCII without commas) and what is kept of the
    /// user's password.
    #[must_use]
    pub fn challenge(self, nonce: &str, verifier: ScramVerifier) -> Challenge {
        let nonce = format!("{}{nonce}", self.nonce);
        let message = format!("r={nonce},s={},i={}", base64::encode(&verifier.salt), verifier.iterations);
        Challenge { opening: self, nonce, message, verifier }
    }
}

/// The server's end: what it said to the client's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    opening: Opening,
    nonce: String,
    /// The server's first message.
    pub message: String,
    verifier: ScramVerifier,
}

impl Challenge {
    /// Judges the client's last message: the server's last message when the password was right, `None`
    /// when it was not.
    ///
    /// # Errors
    /// [`Malformed`] when it is no such message.
    pub fn judge(&self, message: &[u8]) -> Result<Option<String>, Malformed> {
        let message = text(message)?;
        let mut fields = message.split(',');
        let binding = base64::decode(value(fields.next(), "c=")?)?;
        if binding != self.opening.gs2_header.as_bytes() {
            return Err(Malformed::new("the channel binding of the first message", 2));
        }
        if value(fields.next(), "r=")? != self.nonce {
            return Err(Malformed::new("the nonce of this exchange", 0));
        }
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(Malformed::new("a proof", message.len()))?;
        let all = format!("{},{},{without_proof}", self.opening.bare, self.message);
        let signature = self.verifier.verify(all.as_bytes(), &base64::decode(proof)?);
        Ok(signature.map(|signature| format!("v={}", base64::encode(&signature))))
    }

    /// Who logs in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.opening.name
    }
}

fn text(message: &[u8]) -> Result<&str, Malformed> {
    core::str::from_utf8(message).map_err(|error| Malformed::new("UTF-8", error.valid_up_to()))
}

fn value<'a>(field: Option<&'a str>, name: &'static str) -> Result<&'a str, Malformed> {
    let what = match name {
        "n=" => "a name: `n=`",
        "r=" => "a nonce: `r=`",
        "s=" => "a salt: `s=`",
        "i=" => "iterations: `i=`",
        "c=" => "a channel binding: `c=`",
        "v=" => "a signature: `v=`",
        _ => "an authorization identity: `a=`",
    };
    field.and_then(|field| field.strip_prefix(name)).ok_or(Malformed::new(what, 0))
}

/// A name with `=2C` for a comma and `=3D` for an equals sign (RFC 5802 §5.1).
fn name(escaped: &str) -> Result<String, Malformed> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('=') {
        name.push_str(&rest[..at]);
        name.push(match rest.get(at..at + 3) {
            Some("=2C") => ',',
            Some("=3D") => '=',
            _ => return Err(Malformed::new("`=2C` or `=3D` in a name", escaped.len() - rest.len() + at)),
        });
        rest = &rest[at + 3..];
    }
    name.push_str(rest);
    if name.is_empty() || name.len() > VALUE_OCTETS_MAX {
        return Err(Malformed::new("a name of 1 to 512 octets", 2));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7677 §3.
    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn verifier(password: &str) -> ScramVerifier {
        let salt = base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("the salt of RFC 7677");
        ScramVerifier::derive(password, salt.try_into().expect("16 octets"), 4096)
    }

    #[test]
    fn the_example_of_rfc_7677_is_ours_at_both_ends() {
        let mut client = Client::new("user", "pencil", CLIENT_NONCE);
        assert_eq!(client.first(), FIRST.as_bytes());
        let opening = Opening::read(FIRST.as_bytes()).expect("the first message");
        assert_eq!(opening.name, "user");
        let challenge = opening.challenge(SERVER_NONCE, verifier("pencil"));
        assert_eq!(challenge.message, CHALLENGE);
        let response = client.respond(CHALLENGE.as_bytes()).expect("the challenge");
        assert_eq!(String::from_utf8_lossy(&response), FINAL);
        assert_eq!(challenge.judge(FINAL.as_bytes()), Ok(Some(SIGNATURE.to_owned())));
        assert!(!client.is_satisfied());
        assert_eq!(client.respond(SIGNATURE.as_bytes()), Ok(Vec::new()));
        assert!(client.is_satisfied());
    }

    #[test]
    fn a_wrong_password_proves_nothing_and_neither_does_a_server_without_it() {
        let opening = Opening::read(FIRST.as_bytes()).expect("the first message");
        let challenge = opening.challenge(SERVER_NONCE, verifier("crayon"));
        assert_eq!(challenge.judge(FINAL.as_bytes()), Ok(None));
        let mut client = Client::new("user", "pencil", CLIENT_NONCE);
        client.respond(CHALLENGE.as_bytes()).expect("the challenge");
        assert!(client.respond(b"v=AAAA").is_err());
        assert!(client.respond(b"e=other-error").is_err());
        assert!(!client.is_satisfied());
    }

    #[test]
    fn names_and_who_they_act_for_are_read() {
        let opening = Opening::read(b"y,a=bo=2Cb,n=a=3Db,r=x").expect("with an authorization identity");
        assert_eq!((opening.name.as_str(), opening.authorization.as_deref()), ("a=b", Some("bo,b")));
        for wrong in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=,r=x",
            "n,,n=a=4D,r=x",
            "n,,n=a,r=",
            "n,,n=a,r=\u{7f}",
            "p=tls-unique,,n=a,r=x",
            "x,,n=a,r=x",
            "n,b,n=a,r=x",
            "n,,m=ext,n=a,r=x",
        ] {
            assert!(Opening::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Opening::read(b"n,,n=\xff,r=x").is_err());
    }

    #[test]
    fn a_last_message_of_another_exchange_is_refused() {
        let opening = Opening::read(FIRST.as_bytes()).expect("the first message");
        let challenge = opening.challenge(SERVER_NONCE, verifier("pencil"));
        for (what, wrong) in [
            ("nonce", FINAL.replacen("rOpr", "rOps", 1)),
            ("binding", FINAL.replacen("biws", "eSws", 1)),
            ("no proof", FINAL.split(",p=").next().unwrap_or_default().to_owned()),
            ("base64", format!("{FINAL}=")),
        ] {
            assert!(challenge.judge(wrong.as_bytes()).is_err(), "{what}");
        }
        for length in 0..FINAL.len() {
            assert_ne!(challenge.judge(&FINAL.as_bytes()[..length]), Ok(Some(SIGNATURE.to_owned())));
        }
        for wrong in ["r=other,s=AAAA,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=1", "s=AAAA"] {
            assert!(Client::new("user", "pencil", CLIENT_NONCE).respond(wrong.as_bytes()).is_err());
        }
        let dear = CHALLENGE.replace("4096", "5000001");
        assert!(Client::new("user", "pencil", CLIENT_NONCE).respond(dear.as_bytes()).is_err());
    }
}
