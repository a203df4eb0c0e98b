// Uses the client of docs/generated-clients.md; prints what each call gave as JSON.
import { ask } from "./graphql-client.js";
import { AddTemplateDocument, UsersDocument } from "./graphql.js";

const token = process.env.TOKEN!;
const listed = await ask(token, UsersDocument, { first: 3 });
const made = await ask(token, AddTemplateDocument, { input: { name: "Pump", steps: [{ title: "Look" }] } });
const refused = await ask(token, AddTemplateDocument, { input: { name: "", description: "a\u0007" } });
console.log(JSON.stringify({
  me: listed.data?.me.email,
  users: listed.data?.users?.map((user) => user.email),
  made: made.data?.addTemplate?.name,
  refused: refused.errors?.map((error) => [error.extensions.code, error.extensions.details?.map((one) => one.field)]),
}));
