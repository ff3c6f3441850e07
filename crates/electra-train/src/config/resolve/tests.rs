use super::*;
use crate::config::MicroBatch;

fn set_result(text: &str) -> Result<RunConfig, RunConfigError> {
    resolve(None, None, &[text.to_owned()])
}

fn message(result: Result<RunConfig, RunConfigError>) -> String {
    result.expect_err("an error is expected").to_string()
}

#[test]
fn every_preset_resolves_to_a_network_that_can_be_built() {
    for name in preset_names() {
        let config = resolve(Some(name), None, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.preset, name);
        config.model.networks().validate().unwrap();
    }
    let sizes = |name| {
        let generator = resolve(Some(name), None, &[]).unwrap().model.networks().generator;
        (generator.hidden_size, generator.num_attention_heads, generator.intermediate_size)
    };
    assert_eq!(sizes("small"), (64, 1, 256));
    assert_eq!(sizes("small++"), (256, 4, 1024));
    assert_eq!(sizes("base"), (256, 4, 1024));
    assert_eq!(sizes("large"), (256, 4, 1024));
}

#[test]
fn later_layers_win_and_the_saved_copy_is_the_same_run() {
    let file = "preset = \"small\"\nseed = 7\n[train]\nsteps = 50\nwarmup_steps = 5\n";
    let sets = ["train.steps=60", "device=gpu:1", "train.micro_batch=4", "train.learning_rate=1"].map(String::from);
    let config = resolve(None, Some(("run.toml", file)), &sets).unwrap();
    assert_eq!((config.preset.as_str(), config.seed, config.model.hidden_size), ("small", 7, 256));
    assert_eq!((config.train.steps, config.train.warmup_steps, config.train.learning_rate), (60, 5, 1.0));
    assert_eq!((config.device.as_str(), config.train.micro_batch), ("gpu:1", MicroBatch::Size(4)));
    let again = resolve(None, Some(("run.toml", &config.to_toml())), &[]).unwrap();
    assert_eq!(again, config);
}

#[test]
fn an_unknown_key_names_file_line_and_the_nearest() {
    let file = "seed = 1\n\n[train]\nsteps = 50\nbatchsize = 4\n";
    let text = message(resolve(None, Some(("my.toml", file)), &[]));
    assert!(text.contains("my.toml, line 5") && text.contains("did you mean \"train.batch_size\""), "{text}");
    assert!(message(set_result("steps=5")).contains("did you mean \"train.steps\""));
    assert!(message(set_result("train.colour=5")).contains("unknown key \"train.colour\""));
    assert!(message(set_result("optimizer.kind=adam")).contains("unknown key \"optimizer.kind\""));
}

#[test]
fn a_wrong_type_names_key_value_and_what_is_expected() {
    let text = message(set_result("train.steps=many"));
    assert!(text.contains("train.steps is many") && text.contains("a whole number"), "{text}");
    assert!(message(set_result("train.steps=-5")).contains("a whole number, 0 or above"));
    assert!(message(set_result("train.steps=1.5")).contains("a whole number"));
    assert!(message(set_result("train=5")).contains("a section of keys"));
    assert!(message(set_result("data.paper_exact=1")).contains("true or false"));
    assert!(message(set_result("train.micro_batch=some")).contains("\"auto\" or a whole number"));
    assert!(message(set_result("train.steps")).contains("--set train.steps=1000"));
    assert!(message(set_result("a b=1")).contains("dotted key"));
    assert!(message(set_result("preset=small")).contains("--preset NAME"));
    let text = message(resolve(None, Some(("run.toml", "seed = \n")), &[]));
    assert!(text.contains("run.toml, line 1"), "{text}");
    let text = message(resolve(None, Some(("run.toml", "seed = 1\nseed = 2\n")), &[]));
    assert!(text.contains("run.toml, line 2") && text.contains("duplicate"), "{text}");
    assert!(message(resolve(None, Some(("run.toml", "preset = 3")), &[])).contains("preset"));
}

#[test]
fn a_value_out_of_range_names_its_place() {
    let short = resolve(None, Some(("run.toml", "[train]\nsteps = 50\n")), &[]).unwrap();
    assert_eq!(short.train.warmup_steps, 5, "a preset's warmup shrinks with the run");
    let text = message(resolve(None, Some(("run.toml", "[train]\nsteps = 5\nwarmup_steps = 100\n")), &[]));
    assert!(text.contains("train.warmup_steps is 100") && text.contains("at most train.steps, which is 5"), "{text}");
    for (text, expected) in [
        ("train.batch_size=0", "at least 1"),
        ("train.micro_batch=64", "1 to train.batch_size, which is 32"),
        ("train.sequence_length=1024", "max_position_embeddings, which is 512"),
        ("train.learning_rate=nan", "above 0 and finite"),
        ("train.beta2=1", "below 1"),
        ("device=tpu", "\"gpu:N\""),
        ("device=gpu:x", "\"gpu:N\""),
        ("objective.name=clm", "\"rtd\" or \"electra_15\" or"),
        ("model.num_attention_heads=3", "a divisor of hidden_size"),
        ("model.hidden_size=0", "1 to 2147483647"),
        ("model.sharing=all", "generator_size = 1.0"),
        ("model.position_initializer=random", "one of \"normal\", \"sinusoidal\", \"neighbours\""),
        ("data.masking_probability=1", "between 0 and 1"),
        ("model.word_initializer=context", "\"normal\" or \"context_detector\""),
        ("model.word_initializer=context_detector", "\"normal\" unless position_initializer is \"neighbours\""),
        ("objective.rtd.similar_words=1.5", "between 0 and 1"),
    ] {
        let found = message(set_result(text));
        assert!(found.contains(expected) && found.contains("--set"), "{text}: {found}");
    }
    assert!(message(resolve(Some("smal"), None, &[])).contains("did you mean \"small\"?"));
    // The first layer must see the positions' columns.
    let projected = ["model.position_initializer=neighbours", "model.embedding_size=32"].map(String::from);
    let text = message(resolve(Some("first"), None, &projected));
    assert!(text.contains("position_initializer is \"neighbours\"") && text.contains("embedding_size"), "{text}");
    // What is no detector cannot begin as one.
    let heads = "model.num_attention_heads=8";
    let fills = ["model.word_initializer=context_detector", "objective.name=mlm", heads].map(String::from);
    let text = message(resolve(Some("first"), None, &fills));
    assert!(text.contains("model.word_initializer") && text.contains("objective.name = \"mlm\""), "{text}");
    // Sizes that are wrong by themselves are named first.
    let no_heads = ["model.position_initializer=neighbours", "model.num_attention_heads=0"].map(String::from);
    assert!(message(resolve(Some("first"), None, &no_heads)).contains("model.num_attention_heads is 0"));
}

/// What each key must refuse, and that it says so in its own name.
#[test]
fn a_wrong_value_of_any_key_is_refused_in_its_name() {
    let schema = Table::try_from(RunConfig::default()).unwrap();
    let is_path = |key: &str| ["data.dir", "probe.data"].contains(&key);
    for key in key_paths() {
        let wrong: &[&str] = match leaf(&schema, &key).unwrap() {
            Value::Integer(_) => &["many", "-1", "1.5", "true", "\"5\"", "[5]", "99999999999999999999"],
            Value::Float(_) => &["wide", "-1.0", "nan", "inf", "-inf", "true", "[0.5]"],
            Value::Boolean(_) => &["maybe", "1", "\"true\""],
            // Any text may be a folder's name.
            Value::String(_) if is_path(&key) => &["[1]", "{}"],
            // An empty one is none.
            Value::String(_) if key == "probe.task" => &["nonsense", "'quoted nonsense'"],
            Value::String(_) if key == "train.budget" => &["nonsense", "'ten minutes'", "-3m"],
            Value::String(_) => &["nonsense", "\"\"", "'quoted nonsense'"],
            other => panic!("{key} = {other}: what would be wrong?"),
        };
        for value in wrong {
            let is_text_for_text = is_path(&key);
            let set = format!("{key}={value}");
            match set_result(&set) {
                Ok(_) => assert!(is_text_for_text, "{set} is accepted"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(&format!("{key} is ")) && text.contains("--set"), "{set}: {text}");
                    let expected = text.rsplit("be ").next().unwrap_or_default();
                    let says_finite =
                        expected.contains("finite") || expected.contains("at most") || expected.contains("below");
                    let is_infinite = *value == "inf";
                    assert!(!is_infinite || says_finite || expected.contains("between"), "the cause: {set}: {text}");
                }
            }
        }
    }
}

#[test]
fn a_word_that_an_enum_does_not_know_is_refused_in_its_keys_name() {
    for (set, expected) in [
        ("train.precision=f64", "train.precision is \"f64\", but it must be \"f32\" or \"f16\""),
        ("model.sharing=half", "model.sharing is \"half\", but it must be one of \"embeddings\", \"none\", \"all\""),
        ("model.position_initializer=x", "model.position_initializer is \"x\""),
        ("train.micro_batch=some", "train.micro_batch is \"some\", but it must be \"auto\" or a whole number"),
    ] {
        let text = message(set_result(set));
        assert!(text.contains(expected), "{text}");
    }
    let text = message(resolve(None, Some(("my.toml", "[train]\nsteps = 50\nprecision = \"f64\"\n")), &[]));
    assert!(text.contains("my.toml, line 3: train.precision is \"f64\""), "{text}");
}
