# What `cmake --install` puts where: headers, both libraries, coil.pc, the CMake package.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/coil DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.def"
)
install(TARGETS coil coil_static EXPORT coilTargets)
if(TARGET coil_command)
    install(TARGETS coil_command)
endif()
install(FILES tools/gdb/coil-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/coil)

set(coil_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/coil)
install(EXPORT coilTargets NAMESPACE coil:: DESTINATION ${coil_package_dir})
configure_package_config_file(cmake/coilConfig.cmake.in ${PROJECT_BINARY_DIR}/coilConfig.cmake
    INSTALL_DESTINATION ${coil_package_dir}
)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/coilConfigVersion.cmake
    COMPATIBILITY SameMinorVersion
)
install(FILES ${PROJECT_BINARY_DIR}/coilConfig.cmake ${PROJECT_BINARY_DIR}/coilConfigVersion.cmake
    DESTINATION ${coil_package_dir}
)

set(coil_tls_libraries "")
if(coil_has_tls)
    set(coil_tls_libraries " -lssl -lcrypto")
endif()

# coil.pc is filled in at install time: only then is the prefix known (cmake --install --prefix).
if(coil_with_uring)
    set(coil_pc_uring " -luring")
endif()
install(CODE "
    set(COIL_PC_URING \"${coil_pc_uring}\")
    set(COIL_VERSION \"${PROJECT_VERSION}\")
    set(COIL_PC_TLS \"${coil_tls_libraries}\")
    set(COIL_PC_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(COIL_PC_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    foreach(dir COIL_PC_INCLUDEDIR COIL_PC_LIBDIR)
        if(NOT IS_ABSOLUTE \"\${\${dir}}\")
            set(\${dir} \"\\\${prefix}/\${\${dir}}\")
        endif()
    endforeach()
    configure_file(\"${PROJECT_SOURCE_DIR}/coil.pc.in\" \"${PROJECT_BINARY_DIR}/coil.pc\" @ONLY)
")
install(FILES ${PROJECT_BINARY_DIR}/coil.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The documentation lies as in the sources, so that its links between texts and examples hold.
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR}
    FILES_MATCHING PATTERN "*.md" PATTERN "*.[ch]" PATTERN "*.expected"
)
install(FILES bench/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/bench)
