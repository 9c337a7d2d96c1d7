//! A WebSocket through us (RFC 6455): Node behind, a bare client in front.

use crate::dialogue::Dialogue;

use super::behind::before;
use super::neighbour::Neighbour;

/// Takes the handshake, and sends each short text back in capitals; ends when the client does.
const NODE: &str = r#"
const http = require("http"), crypto = require("crypto");
const server = http.createServer((_, response) => response.end("no websocket\n"));
server.on("upgrade", (request, socket, ahead) => {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = crypto.createHash("sha1").update(key).digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let waiting = ahead;
  const take = piece => {
    waiting = Buffer.concat([waiting, piece]);
    while (waiting.length >= 6 && waiting.length >= 6 + (waiting[1] & 127)) {
      const length = waiting[1] & 127, mask = waiting.subarray(2, 6);
      const text = Buffer.from(waiting.subarray(6, 6 + length)).map((octet, place) => octet ^ mask[place % 4]);
      const kind = waiting[0];
      waiting = waiting.subarray(6 + length);
      const back = kind == 0x88 ? text : Buffer.from(text.toString().toUpperCase());
      socket.write(Buffer.concat([Buffer.from([kind, back.length]), back]));
      if (kind == 0x88) socket.end();
    }
  };
  take(Buffer.alloc(0));
  socket.on("data", take);
});
server.listen(+process.argv[2], "127.0.0.1");
"#;

/// A frame of a client: masked.
fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![kind, 0x80 | text.len() as u8];
    frame.extend(mask);
    frame.extend(text.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    frame
}

#[test]
fn frames_pass_both_ways_and_the_end_too() {
    let node = Neighbour::node(NODE);
    let server = before(&node.url());
    let mut dialogue = Dialogue::with(server.http());
    // The key and its answer are those of RFC 6455 §1.3.
    dialogue.say(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = dialogue.hear_head();
    assert_eq!(head.status, 101, "{}", head.head);
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.field("upgrade"), Some("websocket"));
    for text in ["hello", "over", "the proxy"] {
        dialogue.say(frame(0x81, text.as_bytes()));
        let back = dialogue.hear(2 + text.len());
        assert_eq!(&back[2..], text.to_ascii_uppercase().as_bytes());
    }
    dialogue.say(frame(0x88, &[0x03, 0xe8]));
    assert_eq!(dialogue.hear(4)[..2], [0x88, 2]);
    assert!(dialogue.ends());
    server.stop();
}

#[test]
fn a_server_that_wants_none_answers_as_usual() {
    let node =
        Neighbour::node(NODE.replace("server.on(\"upgrade\"", "false && server.on(\"upgrade\"").as_str());
    let server = before(&node.url());
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let heard = dialogue.hear_response();
    assert_eq!((heard.status, heard.body.as_slice()), (200, &b"no websocket\n"[..]));
    server.stop();
}
