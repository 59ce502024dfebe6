fn main() -> std::process::ExitCode {
    probity::daemon::log::begin(probity::daemon::log::LogFormat::Text, "info");
    probity::daemon::run::run(std::path::Path::new(&std::env::args().nth(1).unwrap())).into()
}
