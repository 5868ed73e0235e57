import { mergeConfig } from "vite";
import page from "./vite.config";

// The tests read what docs/ promises.
export default mergeConfig(page, { server: { fs: { allow: [".."] } } });
