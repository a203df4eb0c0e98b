// Uses the client of docs/generated-clients.md; prints what each call gave as JSON.
import { rename, sessions, signIn } from "./rest.js";

const refused = async (call: Promise<unknown>): Promise<string> => call.then(() => "", (error: Error) => error.message);

const token = await signIn("author@acme.example", process.env.PASSWORD!);
console.log(JSON.stringify({
  sessions: (await sessions(token)).length,
  renamed: await rename(token, "Ada"),
  wrongPassword: await refused(signIn("author@acme.example", "not the password")),
  wrongName: await refused(rename(token, "a\u0007")),
}));
