/** What lies on the bench: every ride that begins from now on carries it. */

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, connected, ridesChanged, tryTo } from "./bench";
import { t } from "./i18n";
import type { RideList } from "./protocol";
import { tell } from "./toast";

const SPECIMEN_MAX = 200;

export const specimen = signal<string | null>(null);

export function NextSpecimen() {
  const typed = useSignal<string | null>(null);
  useEffect(() => {
    if (connected.value) void readSpecimen();
  }, [connected.value, ridesChanged.value]);

  const set = async (event: Event) => {
    event.preventDefault();
    if (typed.value === null) return;
    const wanted = typed.value.trim();
    const done = await tryTo(ask<{ specimen: string }>("set_specimen", { specimen: wanted }));
    if (done === null) return;
    specimen.value = done.specimen;
    typed.value = null;
    tell(wanted ? t("specimen_set", { specimen: wanted }) : t("specimen_none"));
  };
  return (
    <form class="specimen" onSubmit={set}>
      <label>
        {t("specimen_next")}
        <input
          maxLength={SPECIMEN_MAX}
          value={typed.value ?? specimen.value ?? ""}
          placeholder={t("serial_number")}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" disabled={typed.value === null || typed.value.trim() === (specimen.value ?? "")}>
        {t("set")}
      </button>
    </form>
  );
}

async function readSpecimen(): Promise<void> {
  const list = await ask<RideList>("list_rides", { limit: 1 }).catch(() => null);
  if (list !== null) specimen.value = list.specimen;
}
