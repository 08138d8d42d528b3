-- Events of an operator's repair, which may be part of a caller's own transaction, and that may go on
-- for long. Ids become visible in order only if they are drawn under a lock that is held until the
-- commit: so they are drawn when it commits. Rows of this table live within their transaction.

create table delta_event_at_commit (
    ordinal bigint generated always as identity primary key,
    category delta_event_category not null,
    resource_id bigint not null,
    namespace text not null,
    kind text not null,
    object_id text not null,
    state delta_resource_state not null,
    attempt int not null,
    max_attempts int not null,
    generation int not null,
    sync_count bigint not null,
    actor text
);

create function delta_append_events() returns trigger language plpgsql as $$
declare
    first_of_transaction boolean;
begin
    -- The first of a transaction's rows takes all others along; nobody else's are visible.
    execute format('select exists (select from %I.delta_event_at_commit where ordinal = $1)', tg_table_schema)
        into first_of_transaction
        using new.ordinal;
    if first_of_transaction then
        perform pg_advisory_xact_lock(hashtextextended(tg_table_schema || '.delta_event', 0));
        execute format(
            'with event as (delete from %1$I.delta_event_at_commit returning *)
            insert into %1$I.delta_event (
                category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
                generation, sync_count, actor
            )
            select
                category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
                generation, sync_count, actor
            from event
            order by ordinal',
            tg_table_schema
        );
    end if;
    return null;
end
$$;

create constraint trigger delta_event_at_commit_append
after insert on delta_event_at_commit
deferrable initially deferred
for each row execute function delta_append_events();
