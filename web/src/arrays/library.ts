/** The arrays that the listener keeps: the list, and what is changed in it. */

import { signal } from "@preact/signals";
import { api, mayChange, tryTo } from "../bench";
import { Refusal } from "../connection";
import { number } from "../format";
import { t, word } from "../i18n";
import { get, patch, remove, uploadSlowly } from "../rest";
import { tell, UNDO_MS } from "../toast";

export interface Entry {
  index: number;
  shape: number[];
  dtype: string;
  name: string;
  octets: number;
  uploaded_ts: number;
}

interface List {
  count: number;
  arrays: Entry[];
  octets: number;
  max_bytes: number;
  max_total_bytes: number;
}

export const list = signal<List | null>(null);
/** It could not be read, and may be old. */
export const listUnknown = signal(false);
/** Not shown any more, and not deleted yet. Who closes the page meanwhile has deleted nothing. */
export const goingAway = signal<ReadonlySet<number>>(new Set());

export async function readList(): Promise<void> {
  if (api.value === "") return;
  try {
    list.value = await get<List>("/arrays");
    listUnknown.value = false;
  } catch {
    listUnknown.value = true;
  }
}

export async function rename(index: number, name: string): Promise<boolean> {
  const done = await tryTo(patch(`/array/${index}`, { name }));
  await readList();
  return done !== null;
}

export function deleteSoon({ index, name }: Entry): void {
  const stay = () => {
    goingAway.value = new Set([...goingAway.value].filter((each) => each !== index));
  };
  goingAway.value = new Set([...goingAway.value, index]);
  const timer = setTimeout(async () => {
    await tryTo(remove(`/array/${index}`));
    await readList();
    stay(); // what could not be deleted is there again
  }, UNDO_MS);
  const close = tell(t("ar_deleted", { index: String(index), name }), {
    ms: UNDO_MS,
    undo: () => {
      clearTimeout(timer);
      stay();
      close();
    },
  });
}

/** A file on its way; `state` is "waiting", "going", "ended", or why it is not there. */
export interface Upload {
  id: number;
  name: string;
  size: number;
  went: number;
  state: "waiting" | "going" | "refused";
  reason: string;
  file: File;
}

/** Those that are not there yet, and those that were refused until they are put away. */
export const uploads = signal<Upload[]>([]);
let nextId = 0;
let isGoing = false;
let abort: (() => void) | null = null;

/** One after the other. */
export function uploadAll(files: Iterable<File>): void {
  if (!mayChange.value) return;
  const added = [...files].map((file): Upload => ({ id: ++nextId, name: file.name, size: file.size, went: 0, state: "waiting", reason: "", file }));
  uploads.value = [...uploads.value.filter(({ state }) => state !== "refused"), ...added];
  if (!isGoing) void go();
}

/** One that is on its way, or the word that one was refused. */
export function putAway(id: number): void {
  const which = uploads.value.find((each) => each.id === id);
  if (which?.state === "going") abort?.();
  else uploads.value = uploads.value.filter((each) => each.id !== id);
}

async function go(): Promise<void> {
  isGoing = true;
  for (;;) {
    const next = uploads.value.find(({ state }) => state === "waiting");
    if (next === undefined) break;
    await send(next);
    await readList();
  }
  isGoing = false;
}

async function send({ id, file }: Upload): Promise<void> {
  const most = list.value?.max_bytes;
  if (most !== undefined && file.size > most) {
    // To be refused after a minute of sending helps nobody.
    change(id, { state: "refused", reason: t("ar_too_large", { most: sizeOf(most) }) });
    return;
  }
  change(id, { state: "going" });
  try {
    const going = uploadSlowly<{ index: number }>("/upload", file, (went) => change(id, { went }));
    abort = going.abort;
    const { index } = await going.done;
    tell(t("ar_uploaded", { name: file.name, index: String(index) }));
    uploads.value = uploads.value.filter((each) => each.id !== id);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.code === "aborted") uploads.value = uploads.value.filter((each) => each.id !== id);
    else change(id, { state: "refused", reason: error.reason || word("refusal", error.code) });
  } finally {
    abort = null;
  }
}

function change(id: number, what: Partial<Upload>): void {
  uploads.value = uploads.value.map((each) => (each.id === id ? { ...each, ...what } : each));
}

const UNITS = ["kB", "MB", "GB", "TB"];

/** As disks are sold: 1 kB is 1000 octets. */
export function sizeOf(octets: number): string {
  let [value, unit] = [octets / 1000, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${number(value, value < 10 ? 1 : 0)} ${UNITS[unit]!}`;
}
