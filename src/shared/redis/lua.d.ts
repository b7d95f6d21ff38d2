/** Lua scripts are imported as text: esbuild's text loader in a build, a small plugin in vitest. */
declare module '*.lua' {
  const source: string;
  export default source;
}
