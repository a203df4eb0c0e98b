// What client.fetch sends, and to whom: against a stub that writes down what it gets.
import { createServer } from "node:http";
import { memoryStore } from "manifest-auth-client";
import { made, options, print, refusalOf } from "./common.mjs";

const seen = [];
/** `good`: the tokens that open something. */
let good = "old";

function stub(name) {
  const server = createServer((asked, answer) => {
    const parts = [];
    asked.on("data", (part) => parts.push(part));
    asked.on("end", () => {
      const body = Buffer.concat(parts).toString();
      const token = asked.headers.authorization ?? null;
      const path = asked.url;
      seen.push({ at: name, path, token, body, cookie: asked.headers.cookie ?? null });
      const told = (status, json, headers = {}) => {
        answer.writeHead(status, { "content-type": "application/json", ...headers });
        answer.end(JSON.stringify(json));
      };
      if (path.startsWith("/to/")) return told(307, {}, { location: decodeURIComponent(path.slice(4)) });
      if (path.endsWith("/sign-in")) return told(307, {}, { location: `${other}/foreign` });
      if (path.endsWith("/refresh")) {
        good = "new";
        return told(200, { success: true, data: { token: "new", refreshToken: "second", expiresIn: 3600 } });
      }
      if (path === "/never" || token !== `Bearer ${good}`) {
        const error = { code: "TOKEN_EXPIRED", message: "Token has expired", requestId: "12345678" };
        return told(401, { success: false, error });
      }
      return told(200, { success: true, data: { token } });
    });
  });
  return new Promise((done) => server.listen(0, name, () => done(`http://${name}:${server.address().port}`)));
}

const ours = await stub("127.0.0.1");
const listed = await stub("127.0.0.2");
const other = await stub("127.0.0.3");
const later = Date.now() + 3_600_000;
const store = memoryStore({ token: "old", refreshToken: "first", expiresAt: later, renewAt: later });
const client = made({ baseUrl: ours, store, origins: [listed] });
const redirect = (to) => `/to/${encodeURIComponent(to)}`;
const ended = () => (good = "newer");
const stream = () => new Blob(["a stream"]).stream();

const cases = {
  async origins() {
    await client.fetch("/here");
    await client.fetch(`${listed}/there`);
    await client.fetch(`${other}/foreign`);
    await client.fetch(redirect(`${ours}/here`));
    await client.fetch(redirect(`${other}/foreign`));
    await client.fetch(`${listed}${redirect(`${other}/foreign`)}`);
    await client.fetch("/own", { headers: { authorization: "Bearer own" } });
    await client.fetch(new Request(`${other}/foreign`));
  },

  async redirected() {
    return refusalOf(made({ baseUrl: ours }).signIn({ email: "author@acme.example", password: "kestrel" }));
  },

  async bodies() {
    const bodies = { text: "text", bytes: new TextEncoder().encode("bytes"), params: new URLSearchParams("a=b"),
      blob: new Blob(["blob"]), none: undefined };
    const statuses = {};
    for (const [name, body] of Object.entries(bodies)) {
      ended();
      statuses[name] = (await client.fetch(`/${name}`, { method: "POST", body })).status;
    }
    ended();
    statuses.request = (await client.fetch(new Request(`${ours}/request`, { headers: { "x-own": "1" } }))).status;
    ended();
    const streamed = await refusalOf(client.fetch("/stream", { method: "POST", body: stream(), duplex: "half" }));
    ended();
    const whole = new Request(`${ours}/whole`, { method: "POST", body: "text" });
    const request = await refusalOf(client.fetch(whole));
    return { statuses, streamed, request, after: (await client.fetch("/after")).status };
  },

  async never() {
    return refusalOf(client.fetch("/never"));
  },

  /** Another program rotated, and the server refuses the token that was at hand. */
  async another_rotated() {
    const tokens = { token: "old", refreshToken: "first", expiresAt: later, renewAt: 0 };
    const rotated = { token: "theirs", refreshToken: "second", expiresAt: later, renewAt: later };
    const saved = [];
    let loads = 0;
    const shared = { load: async () => ((loads += 1) > 2 ? rotated : tokens), save: async (given) => void saved.push(given) };
    const error = { code: "INVALID_TOKEN", message: "Invalid token", requestId: "12345678" };
    const shown = [];
    const answers = async (url, { headers, body }) => {
      if (String(url).endsWith("/refresh")) {
        shown.push(JSON.parse(body).refreshToken);
        return Response.json({ success: false, error }, { status: 401 });
      }
      return Response.json({ token: headers.get("authorization") });
    };
    const answer = await (await made({ store: shared, fetch: answers }).fetch("/here")).json();
    return { answer, saved, shown };
  },

  /** A store that holds another child by now keeps that one, and it is adopted. */
  async replaced_in_the_store() {
    const tokens = { token: "old", refreshToken: "first", expiresAt: later, renewAt: 0 };
    const theirs = { token: "theirs", refreshToken: "sibling", expiresAt: later, renewAt: later };
    const asked = [];
    let held = tokens;
    const shared = {
      load: async () => held,
      save: async (given, { replaces }) => (asked.push([given.refreshToken, replaces]), (held = theirs), false),
    };
    await made({ baseUrl: ours, store: shared }).fetch("/here").catch(() => {});
    return { asked, used: seen.at(-3)?.token };
  },

  /** The child is in the store before the first request goes out with it. */
  async stored_first() {
    const order = [];
    const tokens = { token: "old", refreshToken: "first", expiresAt: later, renewAt: 0 };
    const shared = { load: async () => tokens, save: async (given) => {
      await new Promise((done) => setTimeout(done, 50));
      order.push(`stored ${given.refreshToken}`);
    } };
    const spied = async (url, init) => {
      order.push(`${new URL(url).pathname} ${init.headers.get?.("authorization") ?? ""}`.trim());
      return fetch(url, init);
    };
    await made({ baseUrl: ours, store: shared, fetch: spied }).fetch("/here");
    const full = { load: async () => tokens, save: async () => { throw new Error("the disk is full"); } };
    const failed = await refusalOf(made({ baseUrl: ours, store: full, fetch: spied }).fetch("/full"));
    return { order, failed: failed.message };
  },

  async not_an_answer() {
    const broken = (answer) => made({ fetch: async () => answer });
    return {
      page: await refusalOf(broken(new Response("<h1>Bad gateway</h1>", { status: 502 })).call("GET", "/x")),
      success: await refusalOf(broken(new Response("<h1>Sign in</h1>")).call("GET", "/x")),
      busy: await refusalOf(broken(Response.json(
        { success: false, error: { code: "OVERLOADED", message: "Busy" } }, { status: 503, headers: { "retry-after": "2" } },
      )).call("GET", "/x")),
      mode: await refusalOf((async () => made({ mode: "local" }))()),
      cookieStore: await refusalOf((async () => made({ mode: "cookie", store: memoryStore() }))()),
    };
  },
};

print({ result: await cases[options.case](), seen });
process.exit(0);
