/** The messages of the DBC files that are loaded, per bus: asked for once for all views. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { buses } from "./buses";
import { get } from "../rest";
import type { DbcMessage } from "./signal_form";

/** By bus. A bus that is not there is not known yet, or has no files. */
const known = signal<Readonly<Record<string, readonly DbcMessage[]>>>({});
const NONE: readonly DbcMessage[] = [];

/** Null: they are being read. */
export function useMessages(bus: string): readonly DbcMessage[] | null {
  return useMessagesOf([bus])[bus] ?? null;
}

/** Of these buses, as far as they are known. */
export function useMessagesOf(names: readonly string[]): Readonly<Record<string, readonly DbcMessage[] | null>> {
  const files = names.map((name) => [name, ...(buses.value?.find((bus) => bus.name === name)?.dbc ?? [])]);
  const state = JSON.stringify([buses.value === null, files]);
  useEffect(() => {
    let left = false;
    if (buses.value === null) return undefined;
    for (const [name = "", ...loaded] of files) {
      void read(name, loaded.length > 0).then((messages) => {
        if (!left && messages !== null) known.value = { ...known.value, [name]: messages };
      });
    }
    return () => {
      left = true;
    };
  }, [state]);
  return Object.fromEntries(names.map((name) => [name, known.value[name] ?? null]));
}

async function read(bus: string, hasFiles: boolean): Promise<readonly DbcMessage[] | null> {
  if (!hasFiles) return NONE;
  try {
    const { messages } = await get<{ messages: DbcMessage[] }>("/dbc/messages", { bus });
    // Of files that know the same name the last one speaks.
    return [...new Map(messages.map((message) => [message.name, message])).values()];
  } catch {
    return null; // it is told that the API does not answer; asked again when the view is opened
  }
}
