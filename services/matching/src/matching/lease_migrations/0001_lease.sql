-- Who publishes the event log of a shard. A holder that is silent past expires_at loses it.
create table matching_lease.lease (
    shard integer primary key,
    holder text not null,
    epoch bigint not null,
    expires_at timestamptz not null
);
