//! Who may do what: each line is somebody's work, and everyone else's attempt at it is refused.

const AGENTS: &[&str] = &["validate", "migrate", "notify", "runner"];
/// Whoever moves run records also publishes the jobs that become ready by it, whatever pool serves them.
const RECORDERS: &[&str] = &["intake", "validate", "migrate", "notify", "runner", "api"];
/// Whoever may read the files that workflows were registered with.
const READERS: &[&str] = &["validate", "migrate", "notify", "runner", "api"];
const NOBODY: &[&str] = &[];
const DEPLOYER: &[&str] = &["deployer"];

/// What is published, and by whom.
pub(crate) const PUBLISH: &[(&str, &[&str])] = &[
    ("honk.event.dataset_onboard", &["producer", "intake", "api"]),
    ("honk.event.other", NOBODY),
    // Jobs and run records.
    ("honk.job.migrate.r0123456789abcdef0123.copy.1", RECORDERS),
    ("honk.job.migrate", NOBODY),
    ("$KV.honk_runs.d.r0123456789abcdef0123", RECORDERS),
    ("$JS.API.DIRECT.GET.KV_honk_runs", RECORDERS),
    ("$JS.API.DIRECT.GET.KV_honk_runs.$KV.honk_runs.d.r0123456789abcdef0123", RECORDERS),
    ("honk.finished.r0123456789abcdef0123", RECORDERS),
    ("honk.live.r0123456789abcdef0123.copy", AGENTS),
    // A pool's jobs are its agents' alone: looked at, taken, settled in both forms.
    ("$JS.API.CONSUMER.INFO.HONK_JOBS.validate", &["validate", "intake", "deployer"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_JOBS.validate", &["validate"]),
    ("$JS.ACK.HONK_JOBS.validate.1.2.3.4.5", &["validate"]),
    ("$JS.ACK.domain.account.HONK_JOBS.validate.1.2.3.4.5.token", &["validate"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_JOBS.migrate", &["migrate"]),
    ("$JS.ACK.HONK_JOBS.migrate.1.2.3.4.5", &["migrate"]),
    ("$JS.ACK.domain.account.HONK_JOBS.migrate.1.2.3.4.5.token", &["migrate"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_JOBS.notify", &["notify"]),
    ("$JS.ACK.HONK_JOBS.notify.1.2.3.4.5", &["notify"]),
    ("$JS.API.CONSUMER.INFO.HONK_JOBS.default", &["runner", "intake", "deployer"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_JOBS.default", &["runner"]),
    ("$JS.ACK.HONK_JOBS.default.1.2.3.4.5", &["runner"]),
    ("$JS.ACK.domain.account.HONK_JOBS.default.1.2.3.4.5.token", &["runner"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_JOBS.gpu", NOBODY),
    ("$JS.API.DIRECT.GET.HONK_JOBS", &["intake"]),
    // Events and advisories.
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_EVENTS.intake", &["intake"]),
    ("$JS.ACK.HONK_EVENTS.intake.1.2.3.4.5", &["intake"]),
    ("$JS.API.DIRECT.GET.HONK_EVENTS", &["intake"]),
    ("$JS.API.CONSUMER.MSG.NEXT.HONK_ADVISORIES.watcher", &["intake"]),
    ("$JS.ACK.HONK_ADVISORIES.watcher.1.2.3.4.5", &["intake"]),
    ("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HONK_JOBS.migrate", NOBODY),
    ("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.HONK_JOBS.migrate", NOBODY),
    // Dead letters.
    ("honk.dead.migrate.r0123456789abcdef0123.copy", &["migrate", "intake", "api"]),
    ("honk.dead.validate.r0123456789abcdef0123.check", &["validate", "intake", "api"]),
    ("honk.dead.default.r0123456789abcdef0123.work", &["runner", "intake", "api"]),
    ("honk.dead.message.0123456789abcdef", RECORDERS),
    ("honk.dead.event.0123456789abcdef", &["intake", "api"]),
    ("$JS.API.DIRECT.GET.HONK_DEAD.honk.dead.event.0123456789abcdef", &["api"]),
    // Where a dataset lies: registered through the API, moved by a migration, and by nobody else.
    ("$KV.honk_locations.d", &["migrate", "api"]),
    ("$JS.API.DIRECT.GET.KV_honk_locations.$KV.honk_locations.d", READERS),
    // Who reads a dataset: heard by the API, asked for before a source is given up.
    ("$KV.honk_consumers.d.component.default.report", &["api"]),
    ("$JS.API.DIRECT.GET.KV_honk_consumers", &["migrate", "api"]),
    ("$JS.API.DIRECT.GET.KV_honk_consumers.$KV.honk_consumers.d.component.default.report", &["api"]),
    // What is removed of a source: listed by whoever removes it, shown by the API, and removed or emptied by nobody.
    ("$O.honk_lists.M.x", &["migrate"]),
    ("$O.honk_lists.C.x", &["migrate"]),
    ("$JS.API.DIRECT.GET.OBJ_honk_lists.$O.honk_lists.M.x", &["migrate", "api"]),
    ("$JS.API.CONSUMER.CREATE.OBJ_honk_lists.c.$O.honk_lists.C.x", &["migrate", "api", "deployer"]),
    ("$JS.API.STREAM.PURGE.OBJ_honk_lists", NOBODY),
    // What is written down about a dataset: by whoever runs steps, and by people.
    ("$KV.honk_metadata.d", READERS),
    ("$JS.API.DIRECT.GET.KV_honk_metadata.$KV.honk_metadata.d", READERS),
    ("$JS.API.DIRECT.GET.KV_honk_metadata", NOBODY),
    ("$JS.API.CONSUMER.CREATE.KV_honk_metadata.c.$KV.honk_metadata.>", DEPLOYER),
    // Catalog and workflows.
    ("$KV.honk_catalog.dataset.d", &["api"]),
    ("$JS.API.DIRECT.GET.KV_honk_catalog.$KV.honk_catalog.dataset.d", RECORDERS),
    ("$JS.API.CONSUMER.CREATE.KV_honk_catalog", &["intake", "migrate", "notify", "api", "deployer"]),
    ("$JS.FC.KV_honk_catalog.consumer.token", &["intake", "migrate", "notify", "api"]),
    ("$KV.honk_workflows.name.w", &["api"]),
    ("$KV.honk_workflows.hash.0123", &["api"]),
    ("$JS.API.DIRECT.GET.KV_honk_workflows.$KV.honk_workflows.hash.0123", RECORDERS),
    ("$JS.API.DIRECT.GET.KV_honk_workflows.$KV.honk_workflows.name.w", &["intake", "api"]),
    ("$JS.API.CONSUMER.CREATE.KV_honk_locations", &["api", "deployer"]),
    ("$JS.API.CONSUMER.CREATE.HONK_DEAD", &["api", "deployer"]),
    ("$KV.honk_workflows.source.w.0123", &["api"]),
    // The files of workflows: registered through the API, read by whoever runs steps.
    ("$O.honk_bundles.C.x", &["api"]),
    ("$O.honk_bundles.M.x", &["api"]),
    ("$JS.API.STREAM.INFO.OBJ_honk_bundles", &["validate", "migrate", "notify", "runner", "api", "deployer"]),
    ("$JS.API.DIRECT.GET.OBJ_honk_bundles", READERS),
    ("$JS.API.DIRECT.GET.OBJ_honk_bundles.$O.honk_bundles.M.x", READERS),
    (
        "$JS.API.CONSUMER.CREATE.OBJ_honk_bundles.c.$O.honk_bundles.C.x",
        &["validate", "migrate", "notify", "runner", "api", "deployer"],
    ),
    ("$JS.FC.OBJ_honk_bundles.consumer.token", READERS),
    ("$JS.API.STREAM.PURGE.OBJ_honk_bundles", &["api"]),
    ("$JS.API.STREAM.DELETE.OBJ_honk_bundles", NOBODY),
    // What steps print: written by those who run them, read through the API.
    ("honk.log.r0123456789abcdef0123.copy.1.1", AGENTS),
    ("honk.log.r0123456789abcdef0123", NOBODY),
    ("$JS.API.DIRECT.GET.HONK_LOGS", &["api"]),
    ("$JS.API.STREAM.PURGE.HONK_LOGS", NOBODY),
    // What is wished of runs and workflows, and what is agreed on before a run begins.
    ("$KV.honk_control.run.r0123456789abcdef0123", &["intake", "api"]),
    ("$KV.honk_control.workflow.w", &["api"]),
    ("$KV.honk_control.start.r0123456789abcdef0123", RECORDERS),
    ("$KV.honk_control.group.0123", RECORDERS),
    ("$KV.honk_control.rate.w", &["intake"]),
    ("$KV.honk_control.tick.w.0", &["intake"]),
    ("$JS.API.DIRECT.GET.KV_honk_control.$KV.honk_control.workflow.w", RECORDERS),
    ("$JS.API.DIRECT.GET.KV_honk_control.$KV.honk_control.rate.w", &["intake"]),
    (
        "$JS.API.CONSUMER.CREATE.KV_honk_control.c.$KV.honk_control.run.*",
        &["intake", "validate", "migrate", "notify", "runner", "deployer"],
    ),
    ("$JS.API.CONSUMER.DELETE.KV_honk_control.c", RECORDERS),
    ("$JS.FC.KV_honk_control.consumer.token", RECORDERS),
    ("$JS.API.CONSUMER.CREATE.KV_honk_control.c.$KV.honk_control.workflow.*", &["intake", "api", "deployer"]),
    // Notices.
    ("honk.notice.d", &["migrate", "notify", "api"]),
    ("$KV.honk_deliveries.r0123456789abcdef0123.x", &["notify"]),
    ("$JS.API.DIRECT.GET.KV_honk_deliveries", &["notify"]),
    // Streams and consumers are made when Honk is deployed, and deleted or emptied by nobody.
    ("$JS.API.STREAM.CREATE.HONK_JOBS", DEPLOYER),
    ("$JS.API.STREAM.UPDATE.HONK_JOBS", DEPLOYER),
    ("$JS.API.STREAM.INFO.HONK_JOBS", DEPLOYER),
    ("$JS.API.CONSUMER.CREATE.HONK_JOBS", DEPLOYER),
    ("$JS.API.CONSUMER.CREATE.HONK_JOBS.validate.honk.job.>", DEPLOYER),
    ("$JS.API.CONSUMER.CREATE.HONK_EVENTS", DEPLOYER),
    ("$JS.API.CONSUMER.CREATE.KV_honk_deliveries", DEPLOYER),
    ("$JS.API.CONSUMER.DURABLE.CREATE.HONK_JOBS.mine", NOBODY),
    ("$JS.API.CONSUMER.DELETE.HONK_JOBS.migrate", NOBODY),
    ("$JS.API.CONSUMER.PAUSE.HONK_JOBS.migrate", NOBODY),
    ("$JS.API.STREAM.DELETE.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.PURGE.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.MSG.DELETE.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.MSG.GET.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.SNAPSHOT.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.RESTORE.HONK_JOBS", NOBODY),
    ("$JS.API.STREAM.DELETE.KV_honk_runs", NOBODY),
    ("$SYS.REQ.SERVER.PING", NOBODY),
    // Answers are the server's to give.
    ("_INBOX_api.forged", NOBODY),
    ("_INBOX.forged", NOBODY),
];

/// What is listened to, and by whom.
pub(crate) const SUBSCRIBE: &[(&str, &[&str])] = &[
    ("_INBOX_producer.x.>", &["producer"]),
    ("_INBOX_intake.x.>", &["intake"]),
    ("_INBOX_validate.x.>", &["validate"]),
    ("_INBOX_migrate.x.>", &["migrate"]),
    ("_INBOX_notify.x.>", &["notify"]),
    ("_INBOX_runner.x.>", &["runner"]),
    ("_INBOX_api.x.>", &["api"]),
    ("_INBOX_deployer.x.>", &["deployer"]),
    ("_INBOX.>", NOBODY),
    ("honk.live.r0123456789abcdef0123.copy", &["api"]),
    ("honk.log.r0123456789abcdef0123.>", &["api"]),
    // What is stored is read from its stream, by those who may.
    ("honk.job.>", NOBODY),
    ("honk.event.>", NOBODY),
    ("honk.dead.>", NOBODY),
    ("honk.finished.*", NOBODY),
    ("$KV.>", NOBODY),
    ("$JS.>", NOBODY),
    ("$SYS.>", NOBODY),
    (">", NOBODY),
];
