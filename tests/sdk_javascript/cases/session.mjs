// A session against a real server: many callers, lost answers, theft, errors, the end.
import { createServer, request } from "node:http";
import { memoryStore } from "manifest-auth-client";
import { AUTH, author, counting, made, options, pause, print, refusalOf, stopClock } from "./common.mjs";

const signedIn = async (given) => {
  const client = made(given);
  await client.signIn(author);
  return client;
};

const cases = {
  async the_whole_way() {
    const client = made();
    const before = [await client.isSignedIn(), await refusalOf(client.me())];
    const told = await client.signIn(author);
    const me = await client.me();
    const users = await client.graphql("query($n: Int!) { usersPage(first: $n) { items { email } } }", { n: 2 });
    const title = await client.call("PATCH", `${AUTH}/me`, { title: "Written by a program" });
    const during = await client.isSignedIn();
    await client.signOut();
    const after = [await client.isSignedIn(), await refusalOf(client.me())];
    await client.signOut();
    return { before, told, me, users, title, during, after };
  },

  async refusals() {
    const client = made();
    const wrong = await refusalOf(client.signIn({ ...author, password: "wrong-wrong-wrong" }));
    await client.signIn(author);
    const unknown = await refusalOf(client.call("PATCH", `${AUTH}/me`, { titel: "x" }));
    const forbidden = await refusalOf(client.call("GET", "/api/client/settings"));
    const graphql = await refusalOf(client.graphql("{ nothing }"));
    const plain = (await client.fetch("/api/client/settings")).status;
    return { wrong, unknown, forbidden, graphql, plain };
  },

  /** `knows`: whether the client can tell by its clock that the token has ended. */
  async many_callers() {
    if (!options.knows) stopClock();
    const counted = counting(), store = memoryStore();
    await signedIn({ baseUrl: options.brief, store });
    await pause(2100);
    const { load, save } = store; // no lock: the client alone sees to it
    const client = made({ store: { load, save }, fetch: counted.fetch });
    const answers = await Promise.all(Array.from({ length: 200 }, () => client.fetch(`${AUTH}/me`)));
    return { refreshes: counted.refreshes(), statuses: [...new Set(answers.map((each) => each.status))],
      answers: answers.length, asked: counted.calls[`${AUTH}/me`] };
  },

  /** Each first answer of a refresh is cut by a proxy after the server has committed it. */
  async lost_answers() {
    let refreshes = 0;
    const proxy = createServer((asked, answer) => {
      const { port } = new URL(options.base);
      const on = request({ port, method: asked.method, path: asked.url, headers: asked.headers }, (got) => {
        const cut = asked.url === `${AUTH}/refresh` && (refreshes += 1) % 2 === 1;
        answer.writeHead(got.statusCode, got.headers);
        const parts = [];
        got.on("data", (part) => parts.push(part));
        got.on("end", () => (cut ? answer.destroy() : answer.end(Buffer.concat(parts))));
      });
      asked.pipe(on);
    });
    await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
    const client = made({ baseUrl: `http://127.0.0.1:${proxy.address().port}`, client: options.client });
    await client.signIn({ email: options.email, password: options.password });
    for (let round = 0; round < options.rounds; round += 1) await client.refresh();
    const me = await client.me();
    proxy.close();
    proxy.closeAllConnections();
    return { refreshes, email: me.user.email };
  },

  /** A thief takes the refresh token and goes on with its children; the owner shows it afterwards. */
  async theft() {
    let ended = null;
    const store = memoryStore();
    const client = await signedIn({ store, onSessionOver: (error) => (ended = error?.code) });
    const thief = made({ store: memoryStore(await store.load()) });
    await thief.refresh();
    await thief.refresh();
    await pause(options.grace * 1000 + 200);
    const refused = await refusalOf(client.refresh());
    return { refused, ended, left: await store.load(), open: await client.isSignedIn(), thief: await refusalOf(thief.me()) };
  },

  async second_factor() {
    const client = made({ client: options.client });
    const body = { email: options.email, password: options.password };
    const due = await client.signIn(body).catch((error) => error);
    const set = await due.enrol("totp");
    const told = await due.continueWith({ otp: await code(set.secret, 0) });
    await client.signOut();
    const asked = await client.signIn(body).catch((error) => error);
    const wrong = await refusalOf(asked.continueWith({ otp: "000000" }));
    const again = await asked.continueWith({ recoveryCode: told.recoveryCodes[0] });
    const { name, code: refusal, challenge, methods } = due;
    return { due: { name, code: refusal, challenge, methods }, members: asked.details.map((each) => each.field), wrong,
      codes: told.recoveryCodes.length, tokens: "token" in told, user: again.user.email, me: (await client.me()).user.email };
  },
};

/** RFC 6238 of a secret in base 32. */
async function code(secret) {
  const { createHmac } = await import("node:crypto");
  const bits = [...secret].map((each) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(each).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((each) => parseInt(each, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(Math.trunc(Date.now() / 30000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

print(await cases[options.case]());
