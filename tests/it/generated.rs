//! Pages and schemas that are generated and committed. `just generate` writes them.

use std::{fs, path::Path};

use mtalab::{
    logs::Review,
    remind::Reminders,
    report::{json, markdown_catalogue},
    scenario::Corpus,
    verify,
};

pub fn compare(path: &str, content: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("MTALAB_GENERATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == content, "{path} is not what the code says now; `just generate` writes it anew");
}

#[test]
fn generated_rules_page() {
    compare("docs/rules.md", &markdown_catalogue());
}

#[test]
fn generated_scenario_schema() {
    compare("docs/schema/scenario.json", &format!("{:#}\n", verify::schema()));
}

#[test]
fn generated_report_schema() {
    compare("docs/schema/report.json", &format!("{:#}\n", json::schema()));
}

#[test]
fn generated_domain_report_schema() {
    compare("docs/schema/domain-report.json", &format!("{:#}\n", json::domain_schema()));
}

#[test]
fn generated_reminders_schema() {
    compare("docs/schema/reminders.json", &format!("{:#}\n", Reminders::schema()));
}

#[test]
fn generated_logs_schema() {
    compare("docs/schema/logs.json", &format!("{:#}\n", Review::schema()));
}

#[test]
fn generated_scenarios_page() {
    let cases = verify::load(&Corpus::embedded().unwrap(), &[]).unwrap();
    let mut page = String::from(
        "# Scenarios\n\nGenerated from `scenarios/`; `just generate` writes this page anew. `mtalab show SCENARIO` prints a file.\n",
    );
    let mut topic = "";
    let mut last = "";
    for case in &cases {
        let (this_topic, _) = case.id.split_once('/').unwrap();
        if this_topic != topic {
            topic = this_topic;
            page.push_str(&format!("\n## {topic}\n\n| scenario | what is wrong | rules that must fire | kinds of server |\n| --- | --- | --- | --- |\n"));
        }
        if case.id != last {
            last = &case.id;
            let must = case.scenario.expect.must.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(" ");
            let kinds = case.scenario.server.kinds.join(", ");
            page.push_str(&format!("| `{}` | {} | {must} | {kinds} |\n", case.id, case.scenario.title.replace('|', "\\|")));
        }
    }
    compare("docs/scenarios.md", &page);
}
