# A block counts that has the right number but does not continue the one before it.
# file: engine/wal/wal_format.c
/^bool sluice_wal_chain_follows(/,/^}/{
s/check_equal("prev_link", chain->prev_link, header->prev_link);//
s/if (!epoch_follows(chain, header, ret_fault))/if (!epoch_follows(chain, header, ret_fault) \&\& 0)/
}
