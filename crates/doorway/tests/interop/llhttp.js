// Reads messages, each behind its length in four octets, and prints a line of JSON for each: the requests that
// Node's parser finds in it, and what it says at the end.
const { HTTPParser, methods, allMethods } = process.binding("http_parser");
const input = require("fs").readFileSync(0);
for (let at = 0; at < input.length; ) {
  const length = input.readUInt32BE(at);
  const message = input.subarray(at + 4, at + 4 + length);
  at += 4 + length;
  const requests = [];
  let taken = false;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  // Of a head with many fields the target comes ahead, in parts; trailers bring it once more.
  let early = "";
  parser[HTTPParser.kOnHeaders | 0] = (fields, part) => {
    early += part;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, fields, method, url, status, words, upgrade) => {
    requests.push([(allMethods || methods)[method], url || early, 0, false]);
    early = "";
    taken = taken || upgrade;
  };
  parser[HTTPParser.kOnBody | 0] = (body) => {
    requests[requests.length - 1][2] += body.length;
  };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    requests[requests.length - 1][3] = true;
    early = "";
  };
  const end = parser.execute(message);
  const said = end instanceof Error ? end.code : taken ? "upgrade" : "";
  console.log(JSON.stringify({ requests, said }));
}
