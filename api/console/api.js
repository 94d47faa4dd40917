// The API as this page asks it. The token lives in memory and in the tab's session storage; no cookie carries it.

import { t } from "./texts.js";

const KEPT = "recs-token";
const ROOT = new URL("../api/v1/", document.baseURI);

/** Who is signed in: {client, scopes, channel, expires_at}; null before. */
export let me = null;
let token = sessionStorage.getItem(KEPT) || "";

export class Problem extends Error {
  constructor(status, message, scope = null) {
    super(message);
    this.status = status;
    this.scope = scope;
  }
}

export const may = (scope) => me !== null && me.scopes.includes(scope);
export const hasToken = () => token !== "";

/** Whom the token speaks for. Throws Problem. Without a token it holds only where the service asks for none. */
export async function signIn(given = token) {
  token = given.replace(/^bearer\s+/i, "").trim();
  me = await call("me");
  if (token) sessionStorage.setItem(KEPT, token);
  return me;
}

export function signOut() {
  me = null;
  token = "";
  sessionStorage.removeItem(KEPT);
}

/** The answer to a call, as JSON. Throws Problem, in words for people. */
export async function call(path, { body = null, scope = null, query = {}, method = null } = {}) {
  if (scope && !may(scope)) throw new Problem(403, t("locked"), scope);
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const asked = { method: method || (body ? "POST" : "GET"), headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store" };
  let response;
  try {
    response = await fetch(url, asked);
  } catch {
    throw new Problem(0, /^[\x20-\x7e]*$/.test(token) ? t("unreachable") : t("badToken"));
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  throw await problem(response);
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  if (response.status === 401 && me) {
    signOut();
    dispatchEvent(new Event("signed-out"));
  }
  const fields = (told.errors || []).map((one) => `${one.field}: ${one.message}`).join("; ");
  const words = { 401: t("badToken"), 429: t("tooMany"), 503: t("away") }[response.status];
  return new Problem(
    response.status,
    [words, fields || told.detail || response.statusText].filter(Boolean).join(" · "),
  );
}
