{
  'target_defaults': {
    'cflags': ['-O2', '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-fvisibility=hidden'],
    'cflags_cc': ['-std=gnu++17'],
    'cflags_cc!': ['-std=gnu++20', '-std=gnu++14'],
    'defines': ['_GNU_SOURCE'],
  },
  'targets': [
    {
      'target_name': 'rootless_net',
      'sources': [
        'src/binding.cc',
        'src/dialer.cc',
        'src/agent_link.cc',
        'src/bypass.cc',
        'src/bypass_calls.cc',
        'src/bypass_connect.cc',
        'src/bypass_process.cc',
        'src/bypass_sockets.cc',
        'src/engine.cc',
        'src/local_address.cc',
        'src/loop.cc',
        'src/netlink.cc',
        'src/packet_channel.cc',
        'src/pipe_pool.cc',
        'src/port.cc',
        'src/proxy_protocol.cc',
        'src/service_manager.cc',
        'src/signals.cc',
        'src/sockets.cc',
        'src/tcp_port.cc',
        'src/tcp_relay.cc',
        'src/udp_port.cc',
        'src/watchdog.cc',
        'src/wire.cc',
      ],
      'defines': ['NAPI_VERSION=8'],
    },
    {
      'target_name': 'launcher',
      'type': 'executable',
      'sources': ['src/launcher.c', 'src/bypass_filter.c'],
      # Messages are cut where they are too long; that is what snprintf is for.
      'cflags': ['-Wno-format-truncation'],
    },
    {
      'target_name': 'container_monitor',
      'type': 'executable',
      'sources': ['src/container_monitor.c'],
    },
    {
      'target_name': 'oci_hook',
      'type': 'executable',
      'sources': ['src/oci_hook.c'],
      'cflags': ['-Wno-format-truncation'],
    },
    {
      # The load generator of bench/.
      'target_name': 'bench_load',
      'type': 'executable',
      'sources': ['src/bench_load.c'],
    },
  ],
}
