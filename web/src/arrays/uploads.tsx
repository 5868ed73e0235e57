/** Where .npy files are dropped or chosen, and what becomes of each. */

import { useSignal } from "@preact/signals";
import { mayChange } from "../bench";
import { t } from "../i18n";
import type { Upload } from "./library";
import { list, putAway, sizeOf, uploadAll, uploads } from "./library";

export function Uploads() {
  const over = useSignal(false);
  const kept = list.value;
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
          uploadAll(event.dataTransfer?.files ?? []);
        }}
      >
        <label>
          {t("ar_upload")}
          <input
            type="file"
            multiple
            accept=".npy"
            disabled={!mayChange.value}
            onChange={(event) => {
              const input = event.currentTarget;
              uploadAll(input.files ?? []);
              input.value = ""; // the same file again is a change, too
            }}
          />
        </label>
        <span class="hint">
          {t("ar_drop")} {kept && t("ar_room", { used: sizeOf(kept.octets), most: sizeOf(kept.max_total_bytes) })}
        </span>
      </div>
      {!mayChange.value && <p class="told warn">{t("refusal_not_allowed")}</p>}
      <ul class="uploads">
        {uploads.value
          .filter(({ state }) => state !== "refused")
          .map((each) => (
            <OnItsWay key={each.id} upload={each} />
          ))}
      </ul>
      <div role="alert">
        {uploads.value
          .filter(({ state }) => state === "refused")
          .map(({ id, name, reason }) => (
            <p key={id} class="told bad refused">
              <span>
                {name}: {reason}
              </span>
              <button type="button" aria-label={`${t("ar_put_away")}: ${name}`} onClick={() => putAway(id)}>
                ✕
              </button>
            </p>
          ))}
      </div>
    </>
  );
}

function OnItsWay({ upload: { id, name, size, went, state } }: { upload: Upload }) {
  const text = state === "waiting" ? t("ar_queued") : went >= size ? t("ar_checking") : t("ar_went", { went: sizeOf(went), size: sizeOf(size) });
  return (
    <li data-upload={name}>
      <strong>{name}</strong>
      <progress aria-label={name} max={Math.max(1, size)} value={went} />
      <small class="hint">{text}</small>
      <button type="button" aria-label={`${t("ar_give_up")}: ${name}`} onClick={() => putAway(id)}>
        {t("ar_give_up")}
      </button>
    </li>
  );
}
