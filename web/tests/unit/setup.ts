// Modules of the page look at the address when they are loaded; nothing else of a browser is here.
Object.assign(globalThis, { location: new URL("http://localhost/") });
