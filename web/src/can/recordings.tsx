/** Recordings of the buses: start and stop, what there is, download, deletion, and playing one onto a bus. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { bench, tryTo } from "../bench";
import { dateTime, number } from "../format";
import { t } from "../i18n";
import { tell, UNDO_MS } from "../toast";
import { bus, chosen, lastStatus } from "./buses";
import { sizeText } from "./figures";
import { parseNumber } from "./frame_form";
import { usePoll } from "../poll";
import { get, linkTo, post, remove } from "../rest";
import { whyNot } from "./sending";
import type { BusStatus } from "./stream";
import "./tools.css";

const EVERY_MS = 2000;
const FORMATS = ["candump", "asc", "blf", "csv", "trc", "mf4"];
const SPEEDS = [0.1, 0.5, 1, 2, 5, 10, 100];
const MB = 1_000_000;
const LEAST_MB = 0.1;

interface Status {
  bus: string;
  state: "idle" | "recording" | "failed";
  reason: string;
  format: string | null;
  file: string | null;
  files: string[];
  frames: number;
  bytes: number;
  dropped: number;
  not_in_format: number;
}

interface Kept {
  name: string;
  format: string;
  size: number;
  modified: number;
  recording: boolean;
}

interface Found {
  recordings: Kept[];
  buses: Record<string, Status>;
  replays: string[];
}

/** The last status that was told. */
let heard: BusStatus | null = null;

export function Recordings() {
  const found = useSignal<Found | null>(null);
  const isOld = useSignal(false);
  const goingAway = useSignal<ReadonlySet<string>>(new Set());
  const speed = useSignal(1);
  const read = async () => {
    try {
      found.value = await get<Found>("/recordings");
      isOld.value = false;
    } catch {
      isOld.value = true;
    }
  };
  const now = usePoll(read, EVERY_MS);
  useEffect(() => {
    const status = lastStatus.value;
    if (status === heard) return; // before this view was opened again
    heard = status;
    if (status?.state === "replay_ended" || status?.state === "recording") now();
    if (status?.state === "replay_ended") {
      const told = { name: String(status.recording ?? ""), bus: status.bus, reason: String(status.reason ?? "") };
      tell(told.reason === "cancelled" ? t("wb_replay_cancelled", told) : t("wb_replay_ended", told));
    }
  }, [lastStatus.value]);

  const deleteSoon = (name: string) => {
    goingAway.value = new Set([...goingAway.value, name]);
    const stay = () => {
      goingAway.value = new Set([...goingAway.value].filter((each) => each !== name));
    };
    const timer = setTimeout(() => {
      void tryTo(remove(pathOf(name)))
        .then(read)
        .then(stay);
    }, UNDO_MS);
    const close = tell(t("wb_recording_deleted", { name }), {
      ms: UNDO_MS,
      undo: () => {
        clearTimeout(timer);
        stay();
        close();
      },
    });
  };
  const replay = async (name: string) => {
    await tryTo(post(`${pathOf(name)}/replay`, { bus: chosen.value, speed: speed.value }));
    now();
  };
  const stopReplay = async (name: string) => {
    await tryTo(post("/recordings/replay/stop", { bus: name }));
    now();
  };

  const all = found.value;
  const kept = all?.recordings.filter(({ name }) => !goingAway.value.has(name)) ?? [];
  const running = Object.values(all?.buses ?? {}).filter(({ state }) => state !== "idle");
  return (
    <section class={isOld.value ? "recordings old" : "recordings"} aria-label={t("can_recordings")}>
      {isOld.value && (
        <p class="told bad" role="alert">
          {t("wb_recordings_old")}
        </p>
      )}
      {bench.value.mayChange ? <Start status={all?.buses[chosen.value]} done={now} /> : <p class="told">{t("wb_read_only")}</p>}
      {running.map((status) => (
        <Running key={status.bus} status={status} done={now} />
      ))}
      {all?.replays.map((name) => (
        <p key={name} class="told" data-replay={name}>
          {t("wb_replay_runs", { bus: name })}{" "}
          <button type="button" disabled={!bench.value.mayChange} onClick={() => void stopReplay(name)}>
            {t("wb_stop_replay")}
          </button>
        </p>
      ))}
      <div class="tools">
        <label>
          {t("wb_replay_speed")}
          <select
            value={speed.value}
            onChange={(event) => {
              speed.value = Number(event.currentTarget.value);
            }}
          >
            {SPEEDS.map((each) => (
              <option key={each} value={each}>
                {number(each, each < 1 ? 1 : 0)} ×
              </option>
            ))}
          </select>
        </label>
        <span class="hint" data-why={whyNot.value?.key}>
          {whyNot.value ? t(whyNot.value.key, whyNot.value.args) : t("wb_replay_onto", { bus: chosen.value })}
        </span>
      </div>
      {all !== null && !kept.length && <p class="empty">{t("wb_no_recordings")}</p>}
      {kept.length > 0 && (
        <table class="kept">
          <thead>
            <tr>
              <th scope="col">{t("wb_file")}</th>
              <th scope="col" class="figure">
                {t("wb_size")}
              </th>
              <th scope="col" class="wide">
                {t("time")}
              </th>
              <th scope="col">
                <span class="for-readers">{t("actions")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {kept.map((each) => (
              <tr key={each.name} data-recording={each.name}>
                <th scope="row" class="name">
                  <a href={linkTo(`${pathOf(each.name)}/download`)} download title={t("wb_download")}>
                    {each.name}
                  </a>
                  {each.recording && <span class="tag">{t("wb_is_recorded")}</span>}
                </th>
                <td class="figure">{sizeText(each.size)}</td>
                <td class="wide">{dateTime(each.modified)}</td>
                <td class="actions">
                  <button
                    type="button"
                    disabled={whyNot.value !== null || all?.replays.includes(chosen.value)}
                    aria-label={`${t("wb_replay")}, ${each.name}`}
                    title={t("wb_replay")}
                    onClick={() => void replay(each.name)}
                  >
                    ▶
                  </button>
                  <button
                    type="button"
                    disabled={each.recording || !bench.value.mayChange}
                    aria-label={`${t("delete")}, ${each.name}`}
                    title={t("delete")}
                    onClick={() => deleteSoon(each.name)}
                  >
                    ✕
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function pathOf(name: string): string {
  return `/recordings/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** On the bus that is looked at. */
function Start({ status, done }: { status: Status | undefined; done: () => void }) {
  const format = useSignal("candump");
  const name = useSignal("");
  const megabytes = useSignal("");
  const minutes = useSignal("");
  const files = useSignal("");
  if (bus.value === null) return <p class="told">{t("can_no_bus")}</p>;
  if (status?.state === "recording") return null;
  const size = parseNumber(megabytes.value);
  const time = parseNumber(minutes.value);
  const most = parseNumber(files.value);
  const sizeIsWrong = megabytes.value.trim() !== "" && (size === null || size < LEAST_MB || size > 1e6);
  const timeIsWrong = minutes.value.trim() !== "" && (time === null || time < 0.1 || time > 500_000);
  const filesAreWrong = files.value.trim() !== "" && (most === null || !Number.isInteger(most) || most < 1 || most > 10_000);
  const isWrong = sizeIsWrong || timeIsWrong || filesAreWrong;
  const start = async (event: Event) => {
    event.preventDefault();
    const limits = {
      ...(size !== null && { max_bytes: Math.round(size * MB) }),
      ...(time !== null && { max_s: time * 60 }),
      ...(most !== null && { max_files: most }),
    };
    const body = { bus: chosen.value, format: format.value, name: name.value.trim(), ...limits };
    await tryTo(post("/recordings/start", body));
    done();
  };
  return (
    <form class="panel tools" onSubmit={(event) => void start(event)}>
      <label>
        {t("wb_format")}
        <select
          value={format.value}
          onChange={(event) => {
            format.value = event.currentTarget.value;
          }}
        >
          {FORMATS.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("wb_recording_name")}
        <input
          type="text"
          maxLength={100}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </label>
      <Limit label={t("wb_new_file_after")} text={megabytes} isWrong={sizeIsWrong} unit="MB" name={t("wb_after_size")} />
      <Limit label={t("wb_or_after")} text={minutes} isWrong={timeIsWrong} unit="min" name={t("wb_after_time")} />
      <Limit label={t("wb_newest_files")} text={files} isWrong={filesAreWrong} />
      <button type="submit" class="main" disabled={isWrong}>
        {t("wb_record", { bus: chosen.value })}
      </button>
      {isWrong && <span class="wrong">{t("wb_limits_wrong")}</span>}
    </form>
  );
}

interface LimitProps {
  label: string;
  text: Signal<string>;
  isWrong: boolean;
  /** With a unit the number may have decimals, and who hears the page needs a name that says what is limited. */
  unit?: string;
  name?: string;
}

function Limit({ label, text, isWrong, unit, name }: LimitProps) {
  return (
    <label>
      {label}
      <input
        type="text"
        inputMode={unit ? "decimal" : "numeric"}
        class="short"
        value={text.value}
        aria-label={name}
        aria-invalid={isWrong}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
      {unit}
    </label>
  );
}

function Running({ status, done }: { status: Status; done: () => void }) {
  const stop = async () => {
    await tryTo(post("/recordings/stop", { bus: status.bus }));
    done();
  };
  if (status.state === "failed") {
    return (
      <p class="told bad" role="alert" data-recorder={status.bus}>
        {t("wb_recording_failed", { bus: status.bus, reason: status.reason })}
      </p>
    );
  }
  const { frames, dropped, not_in_format } = status;
  return (
    <div class="told" data-recorder={status.bus}>
      <span>
        ● {t("wb_recording_runs", { bus: status.bus, file: status.file ?? "" })} {t("wb_recorded", { frames })}{" "}
        {sizeText(status.bytes)}
      </span>
      <button type="button" disabled={!bench.value.mayChange} onClick={() => void stop()}>
        {t("wb_stop_recording")}
      </button>
      {dropped > 0 && <strong class="wrong">{t("wb_recording_dropped", { count: dropped })}</strong>}
      {not_in_format > 0 && <span class="hint">{t("wb_not_in_format", { count: not_in_format })}</span>}
    </div>
  );
}
