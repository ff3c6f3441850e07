//! Trains a small network while everything is done to stop it, and holds what comes out against an undisturbed run.
//!
//! Processes are killed at random moments, in the middle of writing checkpoints too: `ELECTRA_TEST_DELAY_MS` makes the program
//! wait between the file operations of a checkpoint, so that a good part of the kills meets it there. Each is followed by
//! `--resume`. Then a run is stopped and continued by the system, started twice at the same time, and given disks that are
//! full after so many bytes. Every run must end with the same rows and weights as the undisturbed one, byte for byte, and no
//! checkpoint that was there may ever be gone.
//!
//! `cargo xtask soak` runs this for as long as one likes, the tests (tests/train/soak.rs) shortly. So it
//! is std alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A network that takes milliseconds a step, over the preset nano; a batch is two micro-batches of unequal size. The tests have
/// it from here.
pub(crate) const SMALL_NETWORK: [&str; 11] = [
    "seed=7",
    "model.hidden_size=32",
    "model.embedding_size=16",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "model.intermediate_size=64",
    "model.max_position_embeddings=32",
    "train.sequence_length=32",
    "train.batch_size=4",
    "train.micro_batch=3",
    "train.warmup_steps=4",
];
/// Beside these: a checkpoint every third step.
const SETTINGS: [&str; 4] =
    ["train.steps=60", "train.log_every=2", "train.validate_every=20", "train.checkpoint_every=3"];
const LAST: &str = "step_000060";

/// No process of this size may take longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Disturbs runs of `program` in `folder`, which must be empty, until `kills` processes were killed; `seed` decides when. Returns a
/// summary.
///
/// # Errors
/// What is not as it must be, first of all any difference to the undisturbed run.
pub(crate) fn soak(program: &Path, folder: &Path, kills: u32, seed: u64) -> Result<String, String> {
    let soak = Soak { program, folder };
    fs::write(folder.join("text.txt"), text()).map_err(|error| format!("text.txt: {error}"))?;
    soak.prepare("tokenizer train --vocab-size 80 --input", "text.txt", "tokenizer")?;
    soak.prepare("data build --tokenizer tokenizer --input", "text.txt", "data")?;
    let ended = soak.start("whole", 0)?.end()?;
    ended.expect(&[0])?;
    let mut summary = vec![soak.kills(kills, &mut Random(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))?];
    summary.push(soak.two_starters()?);
    if cfg!(unix) {
        summary.push(soak.stopped_and_continued()?);
        summary.push(soak.full_disk()?);
    }
    Ok(summary.join("\n"))
}

struct Soak<'a> {
    program: &'a Path,
    folder: &'a Path,
}

impl Soak<'_> {
    fn electra(&self) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        // One thread: the kills are about files.
        command.env("RAYON_NUM_THREADS", "1").env_remove("RUST_BACKTRACE");
        command
    }

    fn prepare(&self, words: &str, input: &str, out: &str) -> Result<(), String> {
        let mut command = self.electra();
        command.arg("-q").args(words.split(' ')).args([input, "--out", out]);
        let status = command.status().map_err(|error| format!("{}: {error}", self.program.display()))?;
        if status.success() { Ok(()) } else { Err(format!("{words}: {status}")) }
    }

    /// Starts the run in `name`, or goes on with it.
    fn start(&self, name: &str, delay_ms: u64) -> Result<Running, String> {
        let mut command = self.electra();
        command.args(["pretrain", "--preset", "nano", "--device", "cpu", "--data", "data", "--out", name]);
        command.args(SMALL_NETWORK.iter().chain(&SETTINGS).flat_map(|set| ["--set", set]));
        // Also where it was killed before there was anything to resume from.
        if self.folder.join(name).exists() {
            command.arg("--resume");
        }
        let log = self.folder.join("log.txt");
        let stderr =
            File::options().create(true).append(true).open(&log).map_err(|error| format!("log.txt: {error}"))?;
        let before = stderr.metadata().map_or(0, |log| log.len());
        command.stderr(stderr).env("ELECTRA_TEST_DELAY_MS", delay_ms.to_string());
        let child = command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        Ok(Running { child, log, before })
    }

    /// Kills runs until there were `wanted`; each run that comes to its end on the way is compared.
    fn kills(&self, wanted: u32, random: &mut Random) -> Result<String, String> {
        let (mut kills, mut in_a_checkpoint, mut runs) = (0, 0, 0);
        let mut fates = 0;
        while kills < wanted {
            runs += 1;
            let name = format!("killed-{runs}");
            let run = self.folder.join(&name);
            loop {
                let newest = newest_checkpoint(&run);
                // Of a few delays, so that kills meet now the checkpoint and now the training.
                let mut running = self.start(&name, [0, 2, 10][random.below(3) as usize])?;
                let life = Duration::from_millis(random.below(900));
                let killed = kills < wanted && running.kill_after(life)?;
                let ended = running.end()?;
                ended.expect_no("passed over")?;
                ended.expect_no("bug in Electra")?;
                if newest_checkpoint(&run) < newest {
                    return Err(format!("{name}: {newest:?} was lost"));
                }
                if !killed {
                    ended.expect(&[0])?;
                    break;
                }
                kills += 1;
                fates += u32::from(newest.is_some());
                in_a_checkpoint += u32::from(!hidden(&run).is_empty());
            }
            self.compare(&name)?;
            let _ = fs::remove_dir_all(run);
        }
        Ok(format!(
            "{kills} kills in {runs} runs, {in_a_checkpoint} of them while a checkpoint was written, {fates} with a checkpoint \
             to lose: all rows and weights are those of the undisturbed run"
        ))
    }

    /// Starts a run that is half done twice at the same time.
    fn two_starters(&self) -> Result<String, String> {
        let mut first = self.start("twice", 10)?;
        first.wait_for(|| newest_checkpoint(&self.folder.join("twice")).is_some())?;
        first.kill_after(Duration::ZERO)?;
        first.end()?;
        let both = [self.start("twice", 20)?, self.start("twice", 20)?];
        let [a, b] = both.map(Running::end);
        let (a, b) = (a?, b?);
        let refused = if a.status.code() == Some(0) { &b } else { &a };
        refused.expect(&[2])?;
        if ![&a, &b].iter().any(|ended| ended.status.code() == Some(0)) {
            return Err(format!("of two starters none came to the end: {} and {}", a.status, b.status));
        }
        self.compare("twice")?;
        Ok("of two starters one was refused, and the other came to the right end".to_owned())
    }

    /// SIGSTOP and SIGCONT, as a batch system suspends a job.
    fn stopped_and_continued(&self) -> Result<String, String> {
        let mut running = self.start("stopped", 5)?;
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(60));
            running.signal("STOP");
            std::thread::sleep(Duration::from_millis(60));
            running.signal("CONT");
        }
        running.wait_for(|| false)?;
        running.end()?.expect(&[0])?;
        self.compare("stopped")?;
        Ok("stopped and continued five times, it came to the right end".to_owned())
    }

    /// Runs on a disk that is full after so many bytes, for a dozen numbers of them, and again when there is room.
    fn full_disk(&self) -> Result<String, String> {
        let disk = self.folder.join("full");
        fs::create_dir(&disk).map_err(|error| error.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&disk)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            return Ok("full disks were left out: they take the right to mount a small one".to_owned());
        }
        let result = self.fill(&disk);
        let _ = Command::new("umount").arg(&disk).status();
        result
    }

    fn fill(&self, disk: &Path) -> Result<String, String> {
        const DISK: u64 = 16 << 20;
        let (mut stopped, mut finished) = (0, 0);
        // Up to what a whole run takes, and a little more.
        let needed = size_of(&self.folder.join("whole")) + 200_000;
        for share in 0..=12 {
            let run = disk.join("run");
            let filler = disk.join("filler");
            let file = File::create(&filler).map_err(|error| error.to_string())?;
            let page = vec![1; 1 << 16];
            let taken = DISK.saturating_sub(needed * share / 12);
            for _ in 0..taken / page.len() as u64 {
                if std::io::Write::write_all(&mut &file, &page).is_err() {
                    break;
                }
            }
            let ended = self.start("full/run", 0)?.end()?;
            ended.expect_no("bug in Electra")?;
            ended.expect(&[0, 1, 2])?;
            *(if ended.status.success() { &mut finished } else { &mut stopped }) += 1;
            drop(file);
            fs::remove_file(&filler).map_err(|error| error.to_string())?;
            // Whatever was written, it goes on from there, or begins where nothing was.
            let ended = self.start("full/run", 0)?.end()?;
            ended.expect_no("passed over")?;
            ended.expect(&[0])?;
            self.compare("full/run")?;
            fs::remove_dir_all(&run).map_err(|error| error.to_string())?;
        }
        if stopped == 0 {
            return Err("no disk was full".to_owned());
        }
        Ok(format!(
            "{stopped} runs were stopped by full disks ({finished} were not), and came to the right end afterwards"
        ))
    }

    /// Fails unless the run is byte for byte the undisturbed one, with nothing left over.
    fn compare(&self, name: &str) -> Result<(), String> {
        let (run, whole) = (self.folder.join(name), self.folder.join("whole"));
        for file in [
            "metrics.jsonl".to_owned(),
            format!("{LAST}/parameters.safetensors"),
            format!("{LAST}/optimizer.safetensors"),
            format!("{LAST}/metrics.safetensors"),
            format!("{LAST}/state.json"),
            "discriminator/model.safetensors".to_owned(),
            "generator/model.safetensors".to_owned(),
            "tokenizer/tokenizer.json".to_owned(),
        ] {
            let read = |run: &Path| fs::read(run.join(&file)).map_err(|error| format!("{name}/{file}: {error}"));
            if read(&run)? != read(&whole)? {
                return Err(format!("{name}/{file} differs from the undisturbed run's"));
            }
        }
        match hidden(&run).first() {
            None => Ok(()),
            Some(left) => Err(format!("{} is left over", left.display())),
        }
    }
}

struct Running {
    child: Child,
    log: PathBuf,
    /// Length of the log when it was started.
    before: u64,
}

impl Running {
    /// Waits for `life`, and kills the process with SIGKILL. False if it had ended by itself.
    fn kill_after(&mut self, life: Duration) -> Result<bool, String> {
        let started = Instant::now();
        while started.elapsed() < life {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_err(|error| error.to_string())?;
        Ok(!status.success())
    }

    /// Waits until `ready`, or until the process has ended.
    fn wait_for(&mut self, ready: impl Fn() -> bool) -> Result<(), String> {
        let started = Instant::now();
        while !ready() && self.child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if started.elapsed() > PATIENCE {
                let _ = self.child.kill();
                return Err(format!("a process of a second is not done after {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn signal(&self, name: &str) {
        let _ = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
    }

    fn end(mut self) -> Result<Ended, String> {
        self.wait_for(|| false)?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let log = fs::read(&self.log).map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&log[(self.before as usize).min(log.len())..]).into_owned();
        Ok(Ended { status, said })
    }
}

struct Ended {
    status: ExitStatus,
    said: String,
}

impl Ended {
    fn expect(&self, codes: &[i32]) -> Result<(), String> {
        let is_right = self.status.code().is_some_and(|code| codes.contains(&code));
        if is_right { Ok(()) } else { Err(format!("{}, expected exit code {codes:?}: {}", self.status, self.said)) }
    }

    fn expect_no(&self, words: &str) -> Result<(), String> {
        if self.said.contains(words) { Err(format!("it says \"{words}\": {}", self.said)) } else { Ok(()) }
    }
}

fn names(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is unfinished, or left over, in a run's folder.
fn hidden(run: &Path) -> Vec<PathBuf> {
    names(run).filter(|path| name_of(path).starts_with('.')).collect()
}

fn newest_checkpoint(run: &Path) -> Option<String> {
    // Numbers of six digits, so that names sort as numbers do.
    names(run).map(|path| name_of(&path)).filter(|name| name.starts_with("step_")).max()
}

fn size_of(folder: &Path) -> u64 {
    let size =
        |path: PathBuf| if path.is_dir() { size_of(&path) } else { path.metadata().map_or(0, |file| file.len()) };
    names(folder).map(size).sum()
}

/// Sentences of a small grammar, in documents of eight.
fn text() -> String {
    const SUBJECTS: [&str; 8] = ["dog", "cat", "bird", "child", "teacher", "farmer", "sailor", "painter"];
    const VERBS: [&str; 5] = ["sees", "finds", "likes", "draws", "follows"];
    let mut random = Random(1);
    let mut pick = |words: &[&'static str]| words[random.below(words.len() as u64) as usize];
    let mut text = String::new();
    for line in 1..=480 {
        text.push_str(&format!("The {} {} the {}.\n", pick(&SUBJECTS), pick(&VERBS), pick(&SUBJECTS)));
        if line % 8 == 0 {
            text.push('\n');
        }
    }
    text
}

/// Marsaglia's xorshift: good enough to spread kills over a second.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
