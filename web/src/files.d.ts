// Files that the build copies beside the page and gives the address of.
declare module "*?url&no-inline" {
  const url: string;
  export default url;
}
