/** A frame by identifier and octets, checked while it is typed. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import type { FrameTexts } from "./frame_form";
import { checkFrame, emptyFrame, idText, octetsText } from "./frame_form";
import type { Wanted } from "./sending";
import { Wrong } from "./wrong";

/** What was typed stays while one looks at something else. */
let kept = emptyFrame();

export function FrameForm({ fd, changed }: { fd: boolean; changed: (wanted: Wanted | null) => void }) {
  const texts = useSignal<FrameTexts>(fd ? kept : { ...kept, fd: false });
  const { frame, problems } = checkFrame(texts.value);
  const change = (some: Partial<FrameTexts>) => {
    texts.value = kept = { ...texts.value, ...some };
  };
  useEffect(() => {
    changed(frame && { frame });
  }, [texts.value]);
  // What is not shown any more is not sent.
  useEffect(() => () => changed(null), []);
  const { id, base, data, length, extended, remote } = texts.value;
  const [typedId, typedData] = [id.trim() !== "", data.trim() !== ""];
  return (
    <form class="fields" onSubmit={(event) => event.preventDefault()}>
      <div class="field">
        <label htmlFor="can-id">{t("wb_identifier")}</label>
        <span class="joined">
          <input
            id="can-id"
            type="text"
            class="octets"
            autocomplete="off"
            spellcheck={false}
            maxLength={18}
            placeholder={base === 16 ? "123" : "291"}
            value={id}
            aria-invalid={typedId && problems.id !== undefined}
            aria-describedby="can-id-problem"
            onInput={(event) => change({ id: event.currentTarget.value })}
          />
          <select
            aria-label={t("wb_written_as")}
            value={base}
            onChange={(event) => change({ base: event.currentTarget.value === "10" ? 10 : 16 })}
          >
            <option value="16">{t("wb_hex")}</option>
            <option value="10">{t("wb_decimal")}</option>
          </select>
        </span>
        <Wrong id="can-id-problem" problem={typedId ? problems.id : undefined} />
      </div>
      <div class="field checks">
        <Check label={t("wb_extended_id")} on={extended} change={(on) => change({ extended: on })} />
        <Check label={t("wb_remote_frame")} on={remote} change={(on) => change({ remote: on, fd: false })} />
        {fd && <Check label="CAN FD" on={texts.value.fd} change={(on) => change({ fd: on, remote: false })} />}
      </div>
      {remote ? (
        <div key="length" class="field">
          <label htmlFor="can-length">{t("wb_asks_for")}</label>
          <input
            id="can-length"
            type="text"
            inputMode="numeric"
            class="short"
            value={length}
            aria-invalid={problems.length !== undefined}
            aria-describedby="can-length-problem"
            onInput={(event) => change({ length: event.currentTarget.value })}
          />
          <Wrong id="can-length-problem" problem={problems.length} />
        </div>
      ) : (
        <div key="data" class="field wide-field">
          <label htmlFor="can-data">{t("wb_octets_hex")}</label>
          <input
            id="can-data"
            type="text"
            class="octets"
            autocomplete="off"
            spellcheck={false}
            maxLength={400}
            placeholder="01 A2 FF"
            value={data}
            aria-invalid={typedData && problems.data !== undefined}
            aria-describedby="can-data-problem"
            onInput={(event) => change({ data: event.currentTarget.value })}
          />
          <Wrong id="can-data-problem" problem={problems.data} />
        </div>
      )}
      <p class="preview" aria-live="polite">
        {frame && `${idText(frame.can_id, frame.is_extended)} [${frame.data.length}] ${remote ? t("can_remote") : octetsText(frame.data)}`}
      </p>
    </form>
  );
}

function Check({ label, on, change }: { label: string; on: boolean; change: (on: boolean) => void }) {
  return (
    <label>
      <input type="checkbox" checked={on} onChange={(event) => change(event.currentTarget.checked)} />
      {label}
    </label>
  );
}
