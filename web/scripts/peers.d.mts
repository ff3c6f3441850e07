export function peers(): NodeRequire;
