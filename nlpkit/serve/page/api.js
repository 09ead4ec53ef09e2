// Requests to the service. The key is kept in memory only.

import { language } from "./strings.js";

let key = "";

/** An answer that is an error: the HTTP status (0 without an answer), the message of the service, and when to retry. */
export class ServiceError extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Use a key for all further requests. */
export function setKey(value) {
  key = value.trim();
}

/** Return whether a key is used. */
export function hasKey() {
  return key !== "";
}

/** Return the full address of a path of the service. */
export function address(path) {
  return new URL(path, document.baseURI.split(/[?#]/)[0]).href;
}

/**
 * Return the JSON that the service answers; with a body, the request is a POST.
 *
 * Throws a ServiceError, or an AbortError if the signal was aborted.
 */
export async function request(path, body = null, signal = null) {
  const headers = { "Accept-Language": language(), ...(key && { Authorization: `Bearer ${key}` }) };
  const options = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  if (body) headers["Content-Type"] = "application/json";
  let response;
  let content;
  try {
    response = await fetch(address(path), options);
    content = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, "");
  }
  let value;
  try {
    value = JSON.parse(content);
  } catch {
    throw new ServiceError(response.status, "");
  }
  if (!response.ok) {
    throw new ServiceError(response.status, String(value?.error?.message ?? ""), response.headers.get("Retry-After"));
  }
  return value;
}
