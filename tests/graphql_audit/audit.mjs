// Runs every check of graphql-http's server audit against AUDIT_URL, signed in by AUDIT_TOKEN; prints the results as
// JSON, one object for each check: {"id", "name", "status": "ok" | "notice" | "warn" | "error", "reason"}.
import { auditServer } from 'graphql-http';

const { AUDIT_URL: url, AUDIT_TOKEN: token } = process.env;

const fetchFn = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${token}`);
  return fetch(input, { ...init, headers });
};

const results = await auditServer({ url, fetchFn });
console.log(JSON.stringify(results.map(({ id, name, status, reason = '' }) => ({ id, name, status, reason }))));
