/**
 * What can be asked of which device: a form in, the body of POST /connect out.
 *
 * Pure. The daemon checks it all again; here only what a person should not have to try out.
 */

export const TYPES = ["canable", "slcan", "pcan", "socketcan", "socketcand", "virtual"] as const;
export type DeviceType = (typeof TYPES)[number];

const RATES = [1_000_000, 800_000, 500_000, 250_000, 125_000, 100_000, 95_000, 83_000, 50_000, 47_000, 33_000, 20_000, 10_000, 5_000];
/** What the firmware of each cannot do. */
const GS_USB_LACKS = [95_000, 83_000, 47_000, 33_000, 5_000];
const SLCAN_LACKS = [...GS_USB_LACKS, 800_000];
const DATA_RATES = [1_000_000, 2_000_000, 4_000_000, 5_000_000, 8_000_000];
const SLCAN_DATA_RATES = [2_000_000, 5_000_000];
const BUS_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

export interface Form {
  type: DeviceType;
  channel: string;
  /** Bits a second; 0 for none. */
  rate: number;
  dataRate: number;
  fd: boolean;
  listenOnly: boolean;
  bus: string;
}

export interface Found {
  device_type: DeviceType;
  index: string | number;
  name: string;
  description: string;
  occupied: boolean;
  bus: string | null;
}

/** A CANable with slcan firmware is a serial port, one with gs_usb firmware has a number. */
function isSerial({ type, channel }: Pick<Form, "type" | "channel">): boolean {
  return type === "slcan" || (type === "canable" && !/^\d*$/.test(channel));
}

export function ratesOf(form: Pick<Form, "type" | "channel">): number[] {
  if (form.type === "socketcand" || form.type === "virtual") return [];
  const lacks = isSerial(form) ? SLCAN_LACKS : form.type === "canable" ? GS_USB_LACKS : [];
  return RATES.filter((rate) => !lacks.includes(rate));
}

/** The interface has its rate from the system, and nothing has to be said of it. */
export function needsRate({ type }: Pick<Form, "type">): boolean {
  return type !== "socketcan";
}

export function canFd(form: Pick<Form, "type" | "channel">): boolean {
  return form.type === "pcan" || form.type === "socketcan" || form.type === "virtual" || isSerial(form);
}

export function dataRatesOf(form: Pick<Form, "type" | "channel">): number[] {
  if (form.type === "virtual") return [];
  return isSerial(form) ? SLCAN_DATA_RATES : DATA_RATES;
}

/** Whether the adapter itself keeps quiet, or only nothing is sent. */
export function listensByItself(form: Pick<Form, "type" | "channel">): boolean {
  return form.type === "pcan" || isSerial(form);
}

/** With what the device cannot do changed to what it can. */
export function fitting(form: Form): Form {
  const rates = ratesOf(form);
  const rate = rates.length === 0 || (form.rate === 0 && !needsRate(form)) ? 0 : rates.includes(form.rate) ? form.rate : 500_000;
  const fd = form.fd && canFd(form);
  const dataRates = dataRatesOf(form);
  const dataRate = !fd || dataRates.length === 0 ? 0 : dataRates.includes(form.dataRate) ? form.dataRate : 2_000_000;
  return { ...form, rate, fd, dataRate };
}

export type Problem = "can_channel_missing" | "can_bus_bad" | "can_bus_taken";

export function problemOf({ channel, bus }: Form, taken: readonly string[]): Problem | null {
  if (!BUS_NAME.test(bus)) return "can_bus_bad";
  if (taken.includes(bus)) return "can_bus_taken";
  return channel.trim() ? null : "can_channel_missing";
}

export function bodyOf(form: Form): Record<string, string | number | boolean> {
  const { type, channel, rate, dataRate, fd, listenOnly, bus } = fitting(form);
  return {
    device_type: type,
    channel: channel.trim(),
    ...(rate > 0 && { baudrate: nameOfRate(rate) }),
    ...(dataRate > 0 && { data_bitrate: dataRate }),
    ...(fd && { fd }),
    ...(listenOnly && { listen_only: listenOnly }),
    bus,
  };
}

export function nameOfRate(rate: number): string {
  return rate >= 1_000_000 ? `BAUD_${rate / 1_000_000}M` : `BAUD_${rate / 1000}K`;
}

export function textOfRate(rate: number): string {
  return rate >= 1_000_000 ? `${rate / 1_000_000} Mbit/s` : `${rate / 1000} kbit/s`;
}

/** BAUD_500K → 500 kbit/s */
export function textOfNamed(name: string): string {
  return name.replace(/^BAUD_(\d+)([KM])$/, (_, figure: string, scale: string) => `${figure} ${scale === "M" ? "Mbit/s" : "kbit/s"}`);
}

/** A name for a bus that is not there yet. */
export function freeName(taken: readonly string[]): string {
  if (!taken.includes("default")) return "default";
  for (let number = 2; ; number += 1) {
    if (!taken.includes(`can${number}`)) return `can${number}`;
  }
}
