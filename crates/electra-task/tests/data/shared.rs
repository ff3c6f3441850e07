//! The tasks that lie beside the project's checkout in `../shared/data/tasks`, or where `$ELECTRA_TASKS` says: read whole, with their counts, and a
//! linear model on them. Without them nothing is tested here, and that is said.

use electra_task::baseline::baselines;
use electra_task::task::{LoadOptions, find};
use electra_task::{Files, score};

#[test]
fn cola_sst2_and_rte_have_their_published_counts() {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tasks");
    let folder = std::env::var_os("ELECTRA_TASKS").map_or(beside, Into::into);
    if !folder.is_dir() {
        eprintln!("not run: {} is not there", folder.display());
        return;
    }
    let files = Files::at(&folder).expect("listed");
    let tasks = find(&files);
    let expected = [("cola", 8_551, 1_043), ("sst2", 67_349, 872), ("rte", 2_490, 277)];
    assert_eq!(tasks.iter().map(|task| task.name).collect::<Vec<_>>(), expected.map(|(name, _, _)| name));
    for (task, (name, train, dev)) in tasks.into_iter().zip(expected) {
        let begun = std::time::Instant::now();
        let data = task.load(&files, &LoadOptions::default()).expect("loaded");
        let read = begun.elapsed();
        let found = data.train.as_ref().expect("train");
        assert_eq!((found.examples.len(), data.dev[0].examples.len()), (train, dev), "{name}");
        assert!(
            found.report.problems().is_empty() && data.dev[0].report.problems().is_empty(),
            "{name}: {:?}",
            found.report
        );
        let begun = std::time::Instant::now();
        for baseline in baselines(&data.kind, &found.examples, 1) {
            let dev = &data.dev[0].examples;
            let predictions: Vec<_> = dev.iter().map(|example| baseline.predict(&example.input)).collect();
            let scores = score(&data.kind, data.metrics, dev, &predictions).expect("scored");
            eprintln!("{name} {}: {scores:?}", baseline.name());
        }
        eprintln!("{name}: read in {read:?}, baselines in {:?}; {:?}", begun.elapsed(), data.notes);
    }
}
