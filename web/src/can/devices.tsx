/** The section *Devices*: what is plugged in, connecting it and letting it go. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { mayChange, tryTo } from "../bench";
import { Refusal } from "../connection";
import type { Key } from "../i18n";
import { t, word } from "../i18n";
import { tell } from "../toast";
import type { Bus } from "./buses";
import { about, buses, choose, refreshBuses } from "./buses";
import type { DeviceType, Form, Found } from "./connecting";
import { bodyOf, canFd, dataRatesOf, fitting, freeName, listensByItself, needsRate, problemOf } from "./connecting";
import { ratesOf, textOfRate, TYPES } from "./connecting";
import { get, post } from "../rest";

const CHANNELS: Record<DeviceType, string> = {
  canable: "/dev/ttyACM0",
  slcan: "/dev/ttyACM0",
  pcan: "USB1",
  socketcan: "can1",
  socketcand: "192.0.2.1:29536/can0",
  virtual: "bench",
};

export function Devices() {
  const taken = (buses.value ?? []).map(({ name }) => name);
  const form = useSignal<Form | null>(null);
  const shown = form.value ?? start(taken);
  const fields = useRef<HTMLDivElement>(null);
  return (
    <section class="devices">
      {!mayChange.value && <p class="told warn">{t("refusal_not_allowed")}</p>}
      <Connected />
      <FoundDevices
        choose={({ device_type, index }) => {
          form.value = fitting({ ...shown, type: device_type, channel: String(index) });
          fields.current?.querySelector("select")?.focus();
        }}
      />
      <div ref={fields}>
        <ConnectForm
          form={shown}
          taken={taken}
          change={(changed) => {
            form.value = changed;
          }}
        />
      </div>
    </section>
  );
}

function start(taken: readonly string[]): Form {
  return { type: "canable", channel: "", rate: 500_000, dataRate: 0, fd: false, listenOnly: false, bus: freeName(taken) };
}

function Connected() {
  const own = (buses.value ?? []).filter(({ is_sensor }) => !is_sensor);
  return (
    <>
      <h2>{t("can_connected")}</h2>
      {own.length === 0 && <p class="hint">{t("can_none_connected")}</p>}
      <ul class="list">
        {own.map((bus) => (
          <ConnectedBus key={bus.name} bus={bus} />
        ))}
      </ul>
    </>
  );
}

function ConnectedBus({ bus }: { bus: Bus }) {
  const leaving = useSignal(false);
  const disconnect = async () => {
    leaving.value = true;
    const done = await tryTo(post("/disconnect", { bus: bus.name }));
    leaving.value = false;
    if (done !== null) tell(t("can_disconnected", { bus: bus.name }));
    void refreshBuses();
  };
  return (
    <li data-bus={bus.name}>
      <span>
        <strong>{bus.name}</strong> <span class={bus.state === "bus_up" ? "good" : "odd"}>{word("can_state", bus.state)}</span>
        <br />
        <small class="hint">{about(bus)}</small>
        {bus.reason && <small class="odd"> {bus.reason}</small>}
      </span>
      <button
        type="button"
        aria-label={`${t("can_disconnect")}: ${bus.name}`}
        disabled={!mayChange.value || leaving.value}
        onClick={() => void disconnect()}
      >
        {t("can_disconnect")}
      </button>
    </li>
  );
}

function FoundDevices({ choose: chosen }: { choose: (device: Found) => void }) {
  const found = useSignal<Found[] | null>(null);
  const looking = useSignal(false);
  const trouble = useSignal("");
  const look = async () => {
    looking.value = true;
    try {
      found.value = (await get<{ devices: Found[] }>("/devices")).devices;
      trouble.value = "";
    } catch (error) {
      trouble.value = said(error);
    }
    looking.value = false;
  };
  // What is connected, or not any more, is occupied, or not any more.
  const names = (buses.value ?? []).map(({ name }) => name).join();
  useEffect(() => void look(), [names]);
  return (
    <>
      <h2>{t("can_found")}</h2>
      <div class="tools">
        <button type="button" disabled={looking.value} onClick={() => void look()}>
          {t("can_look")}
        </button>
        <span role="status" class="hint">
          {looking.value ? t("can_looking") : found.value !== null && t("can_found_count", { count: found.value.length })}
        </span>
      </div>
      {trouble.value && <p class="told bad">{trouble.value}</p>}
      <ul class="list">
        {(found.value ?? []).map((device) => (
          <li key={device.name} data-device={device.name}>
            <span>
              <strong>{device.name}</strong> <small class="hint">{device.description}</small>
            </span>
            {device.occupied ? (
              <small>{t("can_occupied", { bus: device.bus ?? "?" })}</small>
            ) : (
              <button type="button" aria-label={`${t("choose")}: ${device.name}`} onClick={() => chosen(device)}>
                {t("choose")}
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

interface FormProps {
  form: Form;
  taken: readonly string[];
  change: (form: Form | null) => void;
}

function ConnectForm({ form, taken, change }: FormProps) {
  const connecting = useSignal(false);
  const trouble = useSignal("");
  const set = (changed: Partial<Form>) => change(fitting({ ...form, ...changed }));
  const problem = problemOf(form, taken);
  const connect = async (event: Event) => {
    event.preventDefault();
    if (problem !== null) {
      trouble.value = t(problem, { bus: form.bus });
      return;
    }
    connecting.value = true;
    trouble.value = "";
    try {
      await post("/connect", bodyOf(form));
      tell(t("can_is_connected", { bus: form.bus }));
      choose(form.bus);
      change(null);
    } catch (error) {
      trouble.value = said(error);
    }
    connecting.value = false;
    void refreshBuses();
  };
  return (
    <form class="connect" onSubmit={connect}>
      <h2>{t("can_connect_device")}</h2>
      <Select
        label="can_device_type"
        value={form.type}
        options={TYPES.map((type) => [type, t(`can_type_${type}`)])}
        change={(type) => set({ type: type as DeviceType })}
      />
      <label>
        {t(`can_channel_${form.type}`)}
        <input
          value={form.channel}
          placeholder={CHANNELS[form.type]}
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => set({ channel: event.currentTarget.value })}
        />
      </label>
      <Rates form={form} set={set} />
      <label>
        {t("can_bus_name")}
        <input
          value={form.bus}
          maxLength={32}
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => set({ bus: event.currentTarget.value })}
        />
      </label>
      <label class="check">
        <input type="checkbox" checked={form.listenOnly} onChange={(event) => set({ listenOnly: event.currentTarget.checked })} />
        <span>
          {t("can_listen_only")}
          {form.listenOnly && !listensByItself(form) && <small class="hint"> {t("can_bus_listen_software")}</small>}
        </span>
      </label>
      <p role="alert">{trouble.value && <span class="told bad">{trouble.value}</span>}</p>
      <button type="submit" disabled={!mayChange.value || connecting.value}>
        {connecting.value ? t("can_connecting") : t("can_connect")}
      </button>
    </form>
  );
}

function Rates({ form, set }: { form: Form; set: (changed: Partial<Form>) => void }) {
  const rates = ratesOf(form);
  const none: [string, string][] = needsRate(form) ? [] : [["0", t("can_rate_of_interface")]];
  return (
    <>
      {rates.length > 0 && (
        <Select
          label="can_bit_rate"
          value={String(form.rate)}
          options={[...none, ...rates.map((rate): [string, string] => [String(rate), textOfRate(rate)])]}
          change={(rate) => set({ rate: Number(rate) })}
        />
      )}
      {canFd(form) && (
        <label class="check">
          <input type="checkbox" checked={form.fd} onChange={(event) => set({ fd: event.currentTarget.checked })} />
          CAN FD
        </label>
      )}
      {form.fd && dataRatesOf(form).length > 0 && (
        <Select
          label="can_data_rate"
          value={String(form.dataRate)}
          options={dataRatesOf(form).map((rate) => [String(rate), textOfRate(rate)])}
          change={(dataRate) => set({ dataRate: Number(dataRate) })}
        />
      )}
    </>
  );
}

interface SelectProps {
  label: Key;
  value: string;
  options: [string, string][];
  change: (value: string) => void;
}

function Select({ label, value, options, change }: SelectProps) {
  return (
    <label>
      {t(label)}
      <select value={value} onChange={(event) => change(event.currentTarget.value)}>
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The API's own sentence, which says why. */
function said(error: unknown): string {
  if (!(error instanceof Refusal)) throw error;
  return error.reason || word("refusal", error.code);
}
