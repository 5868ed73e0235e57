/** The section *DBC files*: what is kept, for which bus it is loaded, and what is in it. */

import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { mayChange, tryTo } from "../bench";
import { Refusal } from "../connection";
import { number } from "../format";
import { t, word } from "../i18n";
import { tell, UNDO_MS } from "../toast";
import { bus, buses, chosen, refreshBuses } from "./buses";
import { FileMessages } from "./file_messages";
import { get, post, remove, upload } from "../rest";

interface File_ {
  name: string;
  size: number;
  buses: string[];
  /** Null: not read, as it is loaded for no bus. */
  message_count: number | null;
  warning: string;
}

const KINDS = ".dbc,.arxml,.kcd,.sym";

export function Files() {
  const files = useSignal<File_[] | null>(null);
  const goingAway = useSignal<ReadonlySet<string>>(new Set());
  const read = async () => {
    const found = await tryTo(get<{ files: File_[] }>("/dbc/list"));
    if (found !== null) files.value = found.files;
  };
  // Another page may have changed it.
  const loaded = JSON.stringify((buses.value ?? []).map((each) => each.dbc));
  useEffect(() => void read(), [loaded]);
  const changed = async () => {
    await Promise.all([read(), refreshBuses()]);
  };
  const shown = (files.value ?? []).filter(({ name }) => !goingAway.value.has(name));
  return (
    <section class="files">
      {!mayChange.value && <p class="told warn">{t("refusal_not_allowed")}</p>}
      {chosen.value && <Upload changed={changed} />}
      {files.value !== null && shown.length === 0 && <p class="empty">{t("can_no_files")}</p>}
      <ul class="list">
        {shown.map((file) => (
          <OneFile key={file.name} file={file} changed={changed} deleteIt={() => deleteSoon(file.name, goingAway, changed)} />
        ))}
      </ul>
      {(bus.value?.dbc.length ?? 0) > 1 && <p class="hint">{t("can_last_speaks", { file: bus.value?.dbc.at(-1) ?? "" })}</p>}
    </section>
  );
}

function Upload({ changed }: { changed: () => Promise<void> }) {
  const over = useSignal(false);
  const under = useSignal("");
  const wrong = useSignal<string[]>([]);
  const take = async (given: FileList | null | undefined) => {
    if (!mayChange.value) return;
    wrong.value = [];
    for (const file of given ?? []) {
      under.value = file.name;
      try {
        const { message_count } = await upload<{ message_count: number }>("/dbc/upload", file, { bus: chosen.value });
        tell(t("can_file_loaded", { file: file.name, count: message_count, bus: chosen.value }));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        wrong.value = [...wrong.value, `${file.name}: ${withoutName(error.reason || word("refusal", error.code), file.name)}`];
      }
    }
    under.value = "";
    await changed();
  };
  return (
    <>
      <div
        class={over.value ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          over.value = true;
        }}
        onDragLeave={() => {
          over.value = false;
        }}
        onDrop={(event) => {
          event.preventDefault();
          over.value = false;
          void take(event.dataTransfer?.files);
        }}
      >
        <label>
          {t("can_upload", { bus: chosen.value })}
          <input
            type="file"
            multiple
            accept={KINDS}
            disabled={!mayChange.value || under.value !== ""}
            onChange={(event) => {
              const input = event.currentTarget;
              void take(input.files).then(() => {
                input.value = ""; // the same file again is a change, too
              });
            }}
          />
        </label>
        <span role="status" class="hint">
          {under.value ? t("can_reading", { file: under.value }) : t("can_drop")}
        </span>
      </div>
      <div role="alert">
        {wrong.value.map((sentence) => (
          <p key={sentence} class="told bad">
            {sentence}
          </p>
        ))}
      </div>
    </>
  );
}

/** Most of the API's sentences name the file themselves. */
function withoutName(reason: string, name: string): string {
  return reason.startsWith(`${name}: `) ? reason.slice(name.length + 2) : reason;
}

interface FileProps {
  file: File_;
  changed: () => Promise<void>;
  deleteIt: () => void;
}

function OneFile({ file: { name, size, buses: loadedFor, message_count, warning }, changed, deleteIt }: FileProps) {
  const isLoaded = loadedFor.includes(chosen.value);
  const busy = useSignal(false);
  const turn = async () => {
    busy.value = true;
    await tryTo(post(isLoaded ? "/dbc/unload" : "/dbc/load", { bus: chosen.value, file_path: name }));
    await changed();
    busy.value = false;
  };
  const [where] = isLoaded ? [chosen.value] : loadedFor;
  return (
    <li data-file={name}>
      <span>
        <strong>{name}</strong>{" "}
        <small class="hint">
          {message_count !== null && `${t("can_messages", { count: message_count })} · `}
          {number(size / 1000, size < 10_000 ? 1 : 0)} kB · {loadedFor.length > 0 ? t("can_loaded_for", { buses: loadedFor.join(", ") }) : t("can_not_loaded")}
        </small>
        {warning && <small class="warn told">▲ {warning}</small>}
      </span>
      <span>
        <button type="button" disabled={!mayChange.value || busy.value || !chosen.value} onClick={() => void turn()}>
          {t(isLoaded ? "can_unload" : "can_load", { bus: chosen.value })}
        </button>{" "}
        <button type="button" disabled={!mayChange.value} aria-label={`${t("delete")}: ${name}`} onClick={deleteIt}>
          {t("delete")}
        </button>
      </span>
      {where !== undefined && <FileMessages file={name} bus={where} />}
    </li>
  );
}

/** With a way back for some seconds; who leaves the page meanwhile has deleted nothing. */
function deleteSoon(name: string, goingAway: Signal<ReadonlySet<string>>, changed: () => Promise<void>): void {
  const stay = () => {
    goingAway.value = new Set([...goingAway.value].filter((each) => each !== name));
  };
  goingAway.value = new Set([...goingAway.value, name]);
  const timer = setTimeout(async () => {
    const path = name.split("/").map(encodeURIComponent).join("/");
    await tryTo(remove(`/dbc/delete/${path}`));
    await changed();
    stay(); // what could not be deleted is there again
  }, UNDO_MS);
  const close = tell(t("can_file_deleted", { file: name }), {
    ms: UNDO_MS,
    undo: () => {
      clearTimeout(timer);
      stay();
      close();
    },
  });
}
