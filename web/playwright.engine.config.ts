// The same tests with the real engine, by whatever shell they are called.
process.env["ELECTRA_ENGINE"] = "1";
export default (await import("./playwright.config")).default;
