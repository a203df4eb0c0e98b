// The published example client: its two functions stand between the marks, unchanged to the last character.
// Around them: what a page of the app would have (addresses that are relative to it, the two variables).

const [base, accessTokenGiven, refreshTokenGiven, rounds, pauseMs, path, request] = process.argv.slice(2);
const statuses = [];
const original = globalThis.fetch;
globalThis.fetch = async (url, options) => {
  const response = await original(new URL(url, base), options);
  statuses.push([new URL(url, base).pathname, response.status]);
  return response;
};
let accessToken = accessTokenGiven;
const refreshToken = refreshTokenGiven;

// --- example ---
async function refreshAccessToken(refreshToken) {
const response = await fetch('/api/client/auth/refresh', {
method: 'POST',
headers: { 'Content-Type': 'application/json' },
body: JSON.stringify({ refreshToken })
});
const data = await response.json();
return data.token;
}
async function apiRequest(url, options = {}) {
let response = await fetch(url, {
...options,
headers: {
...options.headers,
'Authorization': `Bearer ${accessToken}`
}
});
if (response.status === 401) {
// Token expired, refresh it
accessToken = await refreshAccessToken(refreshToken);
// Retry request with new token
response = await fetch(url, {
...options,
headers: {
...options.headers,
'Authorization': `Bearer ${accessToken}`
}
});
}
return response;
}
// --- example ---

const answers = [];
for (let round = 0; round < Number(rounds); round += 1) {
  await new Promise((done) => setTimeout(done, Number(pauseMs)));
  const from = statuses.length;
  const before = accessToken;
  const response = await apiRequest(path, JSON.parse(request));
  answers.push({
    status: response.status,
    body: await response.json(),
    calls: statuses.slice(from),
    renewed: accessToken !== before,
  });
}
console.log(JSON.stringify({ answers, accessToken }));
