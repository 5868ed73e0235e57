/**
 * The REST API, which answers on another port of the same host, or wherever `hello` says.
 *
 * Trouble is a Refusal with the status as its code and the API's own sentence as its reason; "unreachable"
 * is the code of an API that does not answer at all.
 */

import { api } from "./bench";
import { Refusal } from "./connection";
import { token } from "./settings";

const ANSWER_MS = 15_000;
/** A file may be read for a minute. */
const UPLOAD_MS = 75_000;

export type Values = Record<string, string | number | boolean | undefined>;

export function get<T>(path: string, query: Values = {}): Promise<T> {
  return call<T>("GET", path + queryOf(query));
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return call<T>("POST", path, JSON.stringify(body), "application/json");
}

export function put<T>(path: string, body: unknown): Promise<T> {
  return call<T>("PUT", path, JSON.stringify(body), "application/json");
}

export function patch<T>(path: string, body: unknown): Promise<T> {
  return call<T>("PATCH", path, JSON.stringify(body), "application/json");
}

export function remove<T>(path: string, query: Values = {}): Promise<T> {
  return call<T>("DELETE", path + queryOf(query));
}

/** As a form sends it; the browser says its type itself, with the boundary. */
export function upload<T>(path: string, file: File, query: Values = {}): Promise<T> {
  const form = new FormData();
  form.append("file", file);
  return call<T>("POST", path + queryOf(query), form);
}

/** For a link, which can send no header. */
export function linkTo(path: string, query: Values = {}): string {
  return baseUrl() + path + queryOf(token.value ? { ...query, token: token.value } : query);
}

/** However long it takes: how much of it has gone is told, and `abort` of what is returned gives it up. */
export function uploadSlowly<T>(path: string, file: File, went: (octets: number) => void): { done: Promise<T>; abort: () => void } {
  const form = new FormData();
  form.append("file", file);
  const asked = new XMLHttpRequest(); // fetch does not tell how much has gone
  const done = new Promise<T>((resolve, reject) => {
    asked.open("POST", baseUrl() + path);
    if (token.value) asked.setRequestHeader("Authorization", `Bearer ${token.value}`);
    asked.responseType = "json";
    asked.upload.onprogress = ({ loaded }) => went(Math.min(loaded, file.size));
    asked.onload = () => {
      if (asked.status < 300) resolve(asked.response as T);
      else reject(new Refusal(String(asked.status), reasonOf(asked.response)));
    };
    asked.onerror = () => reject(new Refusal("unreachable", ""));
    asked.onabort = () => reject(new Refusal("aborted", ""));
    asked.send(form);
  });
  return { done, abort: () => asked.abort() };
}

/** The text of an answer, no more of it than `most` characters; the rest is not read. */
export async function textOf(path: string, query: Values, most: number): Promise<{ text: string; isWhole: boolean }> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ANSWER_MS);
  try {
    const headers: Record<string, string> = token.value ? { Authorization: `Bearer ${token.value}` } : {};
    const answer = await fetch(baseUrl() + path + queryOf(query), { headers, signal: abort.signal });
    if (!answer.ok) throw new Refusal(String(answer.status), reasonOf(await answer.json()));
    const reader = answer.body!.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { text, isWhole: true };
      text += decoder.decode(value, { stream: true });
      if (text.length > most) {
        await reader.cancel();
        return { text: text.slice(0, most), isWhole: false };
      }
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("unreachable", "");
  } finally {
    clearTimeout(timer);
  }
}

async function call<T>(method: string, path: string, body?: string | FormData, type?: string): Promise<T> {
  const headers: Record<string, string> = {};
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  if (type) headers["Content-Type"] = type;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), body instanceof FormData ? UPLOAD_MS : ANSWER_MS);
  try {
    const answer = await fetch(baseUrl() + path, { method, headers, body: body ?? null, signal: abort.signal });
    const found: unknown = answer.status === 204 ? null : await answer.json();
    if (!answer.ok) throw new Refusal(String(answer.status), reasonOf(found));
    return found as T;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("unreachable", "");
  } finally {
    clearTimeout(timer);
  }
}

/** `:8000` is a port beside ours. */
function baseUrl(): string {
  const where = api.value;
  return where.startsWith(":") ? `${location.protocol}//${location.hostname}${where}` : where.replace(/\/$/, "");
}

function queryOf(values: Values): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

/** A sentence, or FastAPI's list of what does not fit. */
export function reasonOf(body: unknown): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return "";
  return (detail as { loc?: unknown[]; msg?: string }[])
    .map(({ loc = [], msg = "" }) => [loc.slice(1).join("."), msg].filter(Boolean).join(": "))
    .join("; ");
}
