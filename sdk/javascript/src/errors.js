// What the server refuses, as exceptions with its code, its details and the id of the request.

/** An error response of the server. `code`: an error code, or `INVALID_ANSWER` if the response isn't from the server. */
export class ManifestAuthError extends Error {
  constructor(code, message, { status = 0, details = [], requestId = "", retryAfter = null, ...more } = {}) {
    super(message);
    Object.assign(this, { name: "ManifestAuthError", code, status, details, requestId, retryAfter });
    for (const [name, value] of Object.entries(more)) if (value !== undefined) this[name] = value;
  }
}

/** The first step was correct, and a second factor is required: `challenge` continues the sign-in. */
export class MfaRequired extends ManifestAuthError {
  constructor(message, members) {
    super("MFA_REQUIRED", message, members);
    this.name = "MfaRequired";
    this.methods ??= [];
  }
}

/** The exception of an answer that is not a success. Its body is read from a copy. */
export async function refusal(response) {
  const body = await response.clone().json().catch(() => ({}));
  return refused(body?.error ?? body?.errors?.[0], response, { errors: body?.errors, data: body?.data });
}

/** The exception of one error, as REST or GraphQL words it. */
export function refused(error, response, { errors, data } = {}) {
  const { code = "INVALID_ANSWER", requestId, ...told } = { ...error, ...error?.extensions };
  const wait = response.headers.get("retry-after");
  const members = {
    status: response.status,
    details: told.details,
    requestId: requestId ?? response.headers.get("x-request-id") ?? "",
    retryAfter: wait === null || Number.isNaN(Number(wait)) ? null : Number(wait),
    errors,
    data: errors && data,
  };
  const message = told.message ?? `The server returned ${response.status}`;
  if (code !== "MFA_REQUIRED") return new ManifestAuthError(code, message, members);
  const { challenge, expiresIn, methods } = told;
  return new MfaRequired(message, { ...members, challenge, expiresIn, methods });
}
